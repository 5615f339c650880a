"""`decorum clock`: move the clock of what `decorum up` runs here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from shared.clock import ShiftedClock, write_offset
from shared.commands import panels
from shared.commands.times import utc
from shared.errors import Rejection
from shared.service import PlatformSettings

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
CONNECT_SECONDS: Final = 2.0
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object instead of text")]
commands = typer.Typer(
    help="Show or move the clock of the platform that runs here.",
    no_args_is_help=True,
    rich_help_panel=panels.OPERATE,
)


@commands.callback()
def group() -> None:
    """Show or move the clock of the platform that runs here."""


def parse_span(text: str) -> timedelta:
    """`90s`, `30m`, `2h`, `1d`, `1w` as a span; anything else is refused."""
    match = re.fullmatch(r"(\d{1,5})([smhdw])", text)
    if match is None:
        raise Rejection("a span is a number and s, m, h, d or w: 90s, 30m, 2h, 1d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _require_running(settings: PlatformSettings) -> None:
    """Raise `Rejection` where the platform with a clock of its own is gone: its file would go on telling a time."""
    for server in settings.kafka_bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS):
            return
    raise Rejection(
        f"nothing answers at {settings.kafka_bootstrap_servers}: the platform whose clock this was has ended "
        "(`make up` starts one; unset DECORUM_* to use it)"
    )


def present_instant() -> datetime:
    """What `decorum clock show` says of the platform that runs here; real time where none runs."""
    if os.environ.get("DECORUM_CLOCK", "system") != "system":
        settings = PlatformSettings.load()
        with contextlib.suppress(Rejection):
            _require_running(settings)
            return settings.make_clock().now()
    return datetime.now(UTC)


def _file() -> Path:
    settings = PlatformSettings.load()
    if settings.clock != "shifted" or settings.clock_file is None:
        raise Rejection("this platform runs on the system's time; only a shifted clock can be moved (make up)")
    _require_running(settings)
    return Path(settings.clock_file)


@commands.command("show")
def show_command(as_json: AsJson = False) -> None:
    """Show the platform's present business instant, in UTC, and where it comes from.

    A shifted clock belongs to what `decorum up` runs: it is shown only while that runs.

    \b
    decorum clock show
    decorum clock show --json
    """
    settings = PlatformSettings.load()
    if settings.clock != "system":
        _require_running(settings)
    now = utc(settings.make_clock().now())
    typer.echo(json.dumps({"now": now, "clock": settings.clock}) if as_json else f"{now} ({settings.clock} clock)")


@commands.command("advance")
def advance_command(span: Annotated[str, typer.Argument(help="90s, 30m, 2h, 1d, 1w")], as_json: AsJson = False) -> None:
    """Move the clock of every process that runs here on; it never goes back.

    What falls due on the way is done at the new instant: permits end, promises break, attempts go.

    \b
    decorum clock advance 2h
    decorum clock advance 1d
    """
    path = _file()
    target = ShiftedClock(path).now() + parse_span(span)
    write_offset(path, target - datetime.now(UTC))
    now = utc(target)
    typer.echo(json.dumps({"now": now, "clock": "shifted"}) if as_json else f"it is now {now}")
