"""Settings from environment variables: one frozen dataclass per service, checked as a whole before anything starts."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from shared.errors import Misconfigured

T = TypeVar("T")
_SERVICE_LINK: Final = re.compile(r"SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?")


class SettingsError(Misconfigured):
    """A setting that is missing or wrong; the text names the variable and the reason, never a secret's value."""


class SettingMissing(SettingsError):
    """A setting that has no default and isn't given."""

    def __init__(self, variable: str) -> None:
        super().__init__(f"{variable}: is not set and has no default")
        self.variable = variable


def load(settings_type: type[T], prefix: str, environment: Mapping[str, str] | None = None) -> T:
    """Build `settings_type` (a dataclass) from variables named prefix + FIELD NAME in capitals.

    Every field that has no default must be given. A dataclass that refuses in `__post_init__` with `ValueError`
    (two time-outs that don't fit, for example) becomes a `SettingsError` too.
    """
    values = os.environ if environment is None else environment
    hints = typing.get_type_hints(settings_type)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(settings_type):  # type: ignore[arg-type]
        variable = prefix + field.name.upper()
        if variable in values:
            arguments[field.name] = _parse(variable, values[variable], hints[field.name])
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SettingMissing(variable)
    try:
        return settings_type(**arguments)
    except ValueError as error:
        raise SettingsError(f"{prefix}*: {error}") from error


def refuse_unknown(settings_type: type[Any], prefix: str, environment: Mapping[str, str] | None = None) -> None:
    """Raise SettingsError for a variable with `prefix` that is no field: misspelt, it would leave a default in force.

    What Kubernetes sets for a service of that name is passed over.
    """
    known = [prefix + field.name.upper() for field in dataclasses.fields(settings_type)]
    for variable in sorted(os.environ if environment is None else environment):
        if not variable.startswith(prefix) or variable in known:
            continue
        if _SERVICE_LINK.fullmatch(variable.removeprefix(prefix)):
            continue
        meant = difflib.get_close_matches(variable, known, n=1)
        raise SettingsError(f"{variable}: there is no such setting" + (f"; is {meant[0]} meant?" if meant else ""))


def _parse(variable: str, text: str, hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if text == "" and type(None) in typing.get_args(hint):
            return None
        hint = next(argument for argument in typing.get_args(hint) if argument is not type(None))
        origin = typing.get_origin(hint)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if text not in choices:
            raise SettingsError(f"{variable}: must be one of {', '.join(map(str, choices))}")
        return text
    if origin is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if hint is bool:
        if text.lower() not in {"1", "0", "true", "false", "yes", "no"}:
            raise SettingsError(f"{variable}: must be true or false")
        return text.lower() in {"1", "true", "yes"}
    if hint is datetime:
        return _parse_instant(variable, text)
    try:
        value = hint(text)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{variable}: is not a valid {getattr(hint, '__name__', hint)}") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{variable}: must be a finite number")
    return value


def _parse_instant(variable: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(f"{variable}: is not an ISO 8601 instant") from error
    if instant.tzinfo is None:
        raise SettingsError(f"{variable}: needs a UTC offset")
    return instant
