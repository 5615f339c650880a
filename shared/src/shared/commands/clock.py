"""`decorum clock`: move the clock of what `decorum up` runs here."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from shared.clock import ShiftedClock, write_offset
from shared.errors import Rejection
from shared.service import PlatformSettings

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
commands = typer.Typer(help="Show or move the clock of the platform that runs here.", no_args_is_help=True)


@commands.callback()
def group() -> None:
    """Show or move the clock of the platform that runs here."""


def parse_span(text: str) -> timedelta:
    """`90s`, `30m`, `2h`, `1d`, `1w` as a span; anything else is refused."""
    match = re.fullmatch(r"(\d{1,5})([smhdw])", text)
    if match is None:
        raise Rejection("a span is a number and s, m, h, d or w: 90s, 30m, 2h, 1d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _file() -> Path:
    settings = PlatformSettings.load()
    if settings.clock != "shifted" or settings.clock_file is None:
        raise Rejection("this platform runs on the system's time; only a shifted clock can be moved (make up)")
    return Path(settings.clock_file)


@commands.command("show")
def show_command() -> None:
    """The platform's present business instant, in UTC, and where it comes from."""
    settings = PlatformSettings.load()
    typer.echo(f"{settings.make_clock().now().isoformat(timespec='seconds')} ({settings.clock} clock)")


@commands.command("advance")
def advance_command(span: Annotated[str, typer.Argument(help="90s, 30m, 2h, 1d, 1w")]) -> None:
    """Move the clock of every process that runs here on; it never goes back.

    What falls due on the way is done at the new instant: permits end, promises break, attempts go.

    \b
    decorum clock advance 2h
    decorum clock advance 1d
    """
    path = _file()
    target = ShiftedClock(path).now() + parse_span(span)
    write_offset(path, target - datetime.now(UTC))
    typer.echo(f"it is now {target.isoformat(timespec='seconds')}")
