"""A `decorum` command, run in this process, and what a person sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from typer.testing import CliRunner

from shared.cli import build, exit_code
from shared.errors import DecorumError
from shared.settings import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


def decorum(*arguments: str, environment: Mapping[str, str] | None = None, given: bytes | None = None) -> Said:
    """Run a command, with `given` on its standard input; what is no refusal and no end of its own is raised here."""
    result = CliRunner().invoke(build(), list(arguments), input=given, env={"COLUMNS": "150", **(environment or {})})
    refused = result.exception if isinstance(result.exception, (DecorumError, SettingsError)) else None
    if result.exception is not None and refused is None and not isinstance(result.exception, SystemExit):
        raise result.exception
    code = exit_code(refused) if refused else result.exit_code
    return Said(code=code, out=result.stdout, err=str(refused or result.stderr))
