"""YAML into a typed value, with the line of whatever is wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import yaml

from shared.errors import Misconfigured
from shared.files import Unreadable, read_text

T = TypeVar("T")
FILE_BYTES_MAX: Final = 256 * 1024
_INTEGER: Final = re.compile(r"[+-]?\d+")
_SCALARS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None, "~": None, "": None}


class StrategyFileError(Misconfigured):
    """A strategy or grading file that can't be used; the text is `file:line: reason`."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}" if line else f"{path}: {reason}")
        self.path, self.line, self.reason = path, line, reason


class Document:
    """A parsed file that still knows on which line each of its values stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[str, int] = {"$": 1}
        text = self._read()
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark is not None else 1
            raise StrategyFileError(path, line, getattr(error, "problem", None) or "is not YAML") from error
        except RecursionError as error:
            raise StrategyFileError(path, 1, "is nested too deep") from error
        if not isinstance(node, yaml.MappingNode):
            raise StrategyFileError(path, 1, "must be a mapping")
        self._value = self._plain(node, "$")

    def line_of(self, place: str) -> int:
        """The line of `place` ($.steps[3].day), or of the nearest thing around it."""
        while place and place not in self._lines:
            place = place[: max(place.rfind("."), place.rfind("["), 0)]
        return self._lines.get(place, 1)

    def as_type(self, wanted: type[T]) -> T:
        """The file as `wanted`; raises `StrategyFileError` at the first field that doesn't fit."""
        try:
            return msgspec.convert(self._value, wanted)
        except msgspec.ValidationError as error:
            reason, _, at = str(error).partition(" - at `")
            place = at[at.find("$") :].rstrip("`") or "$"
            named = re.search("[`'](\\w+)[`']$", reason)
            if named is not None and f"{place}.{named[1]}" in self._lines:  # an unknown field or key
                place = f"{place}.{named[1]}"
            raise StrategyFileError(self.path, self.line_of(place), f"{place[2:] or 'file'}: {reason}") from error

    def refuse(self, place: str, reason: str) -> StrategyFileError:
        """The error to raise where `place` is well-formed but wrong."""
        return StrategyFileError(self.path, self.line_of(place), f"{place[2:]}: {reason}")

    def _read(self) -> str:
        try:
            return read_text(self.path, bytes_max=FILE_BYTES_MAX)
        except Unreadable as error:
            raise StrategyFileError(self.path, error.line, error.why) from error

    def _plain(self, node: yaml.Node, place: str) -> Any:
        self._lines[place] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, f"{place}[{index}]") for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, place: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in result:
                raise StrategyFileError(self.path, key_node.start_mark.line + 1, f"{key}: is there twice")
            result[key] = self._plain(value_node, f"{place}.{key}")
        return result


def _scalar(node: yaml.ScalarNode) -> Any:
    """Plain scalars as integers, booleans and null, everything else as text: 10:00 is a time, not a number."""
    text: str = node.value
    if node.style is not None:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    return _SCALARS.get(text, text)
