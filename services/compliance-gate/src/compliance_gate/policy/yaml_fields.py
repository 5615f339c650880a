"""Typed access to a YAML document that keeps the line of every value and collects every error, not only the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

import yaml

from shared.errors import Misconfigured

Value = TypeVar("Value")
_MISSING = "is missing"


class InvalidPack(Misconfigured):
    """A policy pack that can't be used; `errors` holds one `file:line: reason` each."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))


@dataclass(slots=True)
class Errors:
    """What was found wrong in one file."""

    path: Path
    found: list[str] = field(default_factory=list)

    def add(self, node: yaml.Node, reason: str) -> None:
        """Note an error at the line of `node`."""
        self.found.append(f"{self.path.name}:{node.start_mark.line + 1}: {reason}")

    def stop_if_any(self) -> None:
        """Raise InvalidPack with all errors, if there is one."""
        if self.found:
            raise InvalidPack(self.found)


class Fields:
    """One mapping of the document. Each field is taken at most once; `finish` reports those that nobody took."""

    def __init__(self, node: yaml.Node, errors: Errors, what: str) -> None:
        self.node = node
        self.errors = errors
        self.what = what
        self._values: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            errors.add(node, f"{what} must be a mapping")
            return
        for key, value in node.value:
            if key.value in self._values:
                errors.add(key, f"{what}: field {key.value!r} is given twice")
            self._values[str(key.value)] = value

    def has(self, name: str) -> bool:
        """Whether the field is there and nobody has taken it."""
        return name in self._values

    def text(self, name: str, *, default: str | None = None, pattern: str | None = None) -> str:
        """A text, not empty, that matches `pattern` where there is one."""
        node = self._take(name, required=default is None)
        if node is None:
            return default or ""
        if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
            self._complain(node, name, "must be a text")
            return default or ""
        if pattern is not None and not re.fullmatch(pattern, str(node.value)):
            self._complain(node, name, f"{node.value!r} isn't like {pattern}")
        return str(node.value)

    def choice(self, name: str, allowed: tuple[str, ...], *, default: str | None = None) -> str:
        """One of the allowed words."""
        node = self._take(name, required=default is None)
        if node is None:
            return default or allowed[0]
        return self._chosen(node, name, allowed)

    def choices(
        self, name: str, allowed: tuple[str, ...], *, default: tuple[str, ...] | None = ()
    ) -> tuple[str, ...] | None:
        """A list of allowed words, or None where the field is absent and that is the default."""
        node = self._take(name, required=False)
        if node is None:
            return default
        return tuple(self._chosen(item, name, allowed) for item in self._items(node, name))

    def texts(self, name: str, *, pattern: str | None = None) -> tuple[str, ...]:
        """A list of texts; absent is empty."""
        node = self._take(name, required=False)
        if node is None:
            return ()
        found = []
        for item in self._items(node, name):
            if not isinstance(item, yaml.ScalarNode) or (pattern and not re.fullmatch(pattern, str(item.value))):
                self._complain(item, name, "must be a list of texts" + (f" like {pattern}" if pattern else ""))
            else:
                found.append(str(item.value))
        return tuple(found)

    def whole(self, name: str, low: int, high: int, *, default: int | None = None) -> int:
        """A whole number between `low` and `high`."""
        node = self._take(name, required=default is None)
        if node is None:
            return default if default is not None else low
        if not isinstance(node, yaml.ScalarNode) or not re.fullmatch(r"-?\d+", str(node.value)):
            self._complain(node, name, "must be a whole number")
            return low
        number = int(node.value)
        if not low <= number <= high:
            self._complain(node, name, f"{number} isn't between {low} and {high}")
        return number

    def day(self, name: str) -> date | None:
        """A date as YYYY-MM-DD; absent is None."""
        node = self._take(name, required=False)
        if node is None:
            return None
        try:
            return date.fromisoformat(str(node.value))
        except (ValueError, TypeError):
            self._complain(node, name, f"{node.value!r} isn't a date like 2026-01-31")
            return None

    def truth(self, name: str) -> bool:
        """True or false; absent is false."""
        node = self._take(name, required=False)
        if node is None:
            return False
        if str(node.value) not in ("true", "false"):
            self._complain(node, name, "must be true or false")
        return str(node.value) == "true"

    def part(self, name: str, *, required: bool = True) -> Fields | None:
        """A mapping inside this one."""
        node = self._take(name, required=required)
        return None if node is None else Fields(node, self.errors, f"{self.what}.{name}")

    def pairs(self, name: str) -> list[tuple[str, yaml.Node]]:
        """A mapping with free keys; absent is empty."""
        node = self._take(name, required=False)
        if node is None:
            return []
        if not isinstance(node, yaml.MappingNode):
            self._complain(node, name, "must be a mapping")
            return []
        return [(str(key.value), value) for key, value in node.value]

    def parts(self, name: str, build: Callable[[Fields], Value]) -> list[Value]:
        """A list of mappings, each built by `build`; absent is empty."""
        node = self._take(name, required=False)
        if node is None:
            return []
        return [build(Fields(item, self.errors, f"{self.what}.{name}")) for item in self._items(node, name)]

    def finish(self) -> None:
        """Report every field that nobody knows."""
        for name, node in self._values.items():
            self.errors.add(node, f"{self.what}: unknown field {name!r}")

    def _take(self, name: str, *, required: bool) -> yaml.Node | None:
        node = self._values.pop(name, None)
        if node is None and required:
            self.errors.add(self.node, f"{self.what}: {name} {_MISSING}")
        return node

    def _items(self, node: yaml.Node, name: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._complain(node, name, "must be a list")
            return []
        return list(node.value)

    def _chosen(self, node: yaml.Node, name: str, allowed: tuple[str, ...]) -> str:
        if str(node.value) not in allowed:
            self._complain(node, name, f"{node.value!r} isn't one of {', '.join(allowed)}")
            return allowed[0]
        return str(node.value)

    def _complain(self, node: yaml.Node, name: str, reason: str) -> None:
        self.errors.add(node, f"{self.what}: {name} {reason}")
