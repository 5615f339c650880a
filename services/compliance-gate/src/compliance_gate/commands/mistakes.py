"""What is wrong with a situation, in words that name the field and, where only some values are known, all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

_AT: Final = re.compile(r"(?P<reason>.*) - at `\$\.(?P<place>.+)`", re.DOTALL)
_VALUE: Final = re.compile(r"Invalid (?:enum )?value (?P<value>'.*')", re.DOTALL)


def in_words(error: msgspec.DecodeError, wanted: type[msgspec.Struct]) -> str:
    """What is wrong with what should be a `wanted`: `attempt.channel: 'fax' is none of email, letter, …`."""
    at = _AT.fullmatch(str(error))
    if at is None:
        return str(error)
    reason, place = at["reason"], at["place"]
    value = _VALUE.fullmatch(reason)
    known = sorted(set(_values(_at_place(inspect.type_info(wanted), place)))) if value else []
    return f"{place}: {value['value']} is none of {', '.join(known)}" if value and known else f"{place}: {reason}"


def _at_place(kind: inspect.Type, place: str) -> list[inspect.Type]:
    """What may stand at `place` (`history[0].result`); a tagged struct's own tag is a field of it."""
    kinds = [kind]
    for name in place.split("."):
        field, bracket, _ = name.partition("[")
        kinds = [each for kind in kinds for each in _field(kind, field)]
        if bracket:
            kinds = [item for kind in kinds for each in _alternatives(kind) for item in _items(each)]
    return kinds


def _field(kind: inspect.Type, name: str) -> Iterator[inspect.Type]:
    for each in _alternatives(kind):
        if isinstance(each, inspect.StructType):
            yield from (field.type for field in each.fields if field.encode_name == name)
            if each.tag_field == name and isinstance(each.tag, str):
                yield inspect.LiteralType((each.tag,))


def _alternatives(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from _alternatives(each)
    elif isinstance(kind, inspect.Metadata):
        yield from _alternatives(kind.type)
    else:
        yield kind


def _items(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    return (kind.item_type,) if isinstance(kind, inspect.VarTupleType) else ()


def _values(kinds: list[inspect.Type]) -> Iterator[str]:
    found: Any
    for kind in kinds:
        for each in _alternatives(kind):
            if isinstance(each, inspect.LiteralType):
                for found in each.values:
                    yield str(found)
