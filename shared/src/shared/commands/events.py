"""`decorum events`: publish loan events by hand, checked before the first of them leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, track

from shared.commands import panels
from shared.commands.clock import present_instant
from shared.commands.connections import publisher, require_identifier
from shared.contracts.examples import EXAMPLES
from shared.contracts.registry import BY_MESSAGE_TYPE, LOAN_EVENTS, Contract
from shared.contracts.types import Message
from shared.errors import Poison, Rejection
from shared.files import read_argument, shown
from shared.kafka.records import Headers, Outgoing, Received, WireMessage, decode, encode
from shared.service import PlatformSettings

PUBLISH_RECORDS_MAX: Final = 2_000
BAD_LINES_SHOWN: Final = 50
STRUCTURED: Final = ("content-type", b"application/cloudevents+json; charset=utf-8")

commands = typer.Typer(
    help="Publish loan events, as a lender's core systems do.", no_args_is_help=True, rich_help_panel=panels.OPERATE
)


@dataclass(slots=True, kw_only=True)
class _Line:
    """A line of the file in the form that the consumers decode."""

    value: bytes
    offset: int
    topic: str = LOAN_EVENTS
    partition: int = 0
    key: bytes | None = None
    headers: Headers = (STRUCTURED,)


class _Data(msgspec.Struct):
    """The part of an event that becomes the body: published byte for byte, with fields that are not known here."""

    data: msgspec.Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodLine:
    """A line that every service takes."""

    event: Received[Message]
    body: bytes

    def as_sent(self) -> WireMessage:
        """The event in binary mode, its body as it stands in the file."""
        event = self.event
        outgoing = Outgoing(message=event.message, ce_id=event.ce_id, ce_time=event.ce_time, cause=event)
        return msgspec.structs.replace(encode(outgoing, source=event.ce_source), value=self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that no service would take, and why."""

    line: int
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def check_lines(lines: Iterable[bytes], *, now: datetime) -> tuple[list[GoodLine], list[BadLine]]:
    """Decode `lines` (CloudEvents in structured form) exactly as the services do; `now` bounds their times."""
    good: list[GoodLine] = []
    bad: list[BadLine] = []
    bodies: dict[tuple[str, str, str], bytes] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = decode(_Line(value=line, offset=number), now=now)
            if bodies.setdefault(event.key, event.body_sha256) != event.body_sha256:
                raise Poison("id_reused_with_other_body", "an earlier line has the same id")
        except Poison as poison:
            bad.append(BadLine(line=number, reason=poison.reason, detail=poison.detail))
        else:
            good.append(GoodLine(event=event, body=bytes(msgspec.json.decode(line, type=_Data).data)))
    return good, bad


@commands.callback()
def group() -> None:
    """Publish loan events, as a lender's core systems do."""


@commands.command("example")
def example_command(
    event: Annotated[str | None, typer.Argument(help="one type, such as payment-received; without it, all")] = None,
    borrower: Annotated[str | None, typer.Option("--borrower", help="the borrower's id in them")] = None,
) -> None:
    """Print valid loan events, one a line, at the platform's present instant: a file to change and publish.

    Without a platform that runs here, at the real one.

    \b
    decorum events example > events.jsonl
    decorum events example payment-received --borrower B-7
    """
    now = present_instant()
    contracts = [BY_MESSAGE_TYPE[type(m)] for m in EXAMPLES if BY_MESSAGE_TYPE[type(m)].topic == LOAN_EVENTS]
    names = {_short_name(contract): contract for contract in contracts}
    if event is not None and event not in names:
        raise Rejection(f"there is no event {event}; there are {', '.join(names)}")
    if borrower is not None:
        require_identifier(borrower, of="--borrower")
    for name, contract in names.items():
        if event in (None, name):
            typer.echo(json.dumps(_example(contract, now=now, borrower=borrower), ensure_ascii=False))


def _short_name(contract: Contract) -> str:
    return contract.ce_type.split(".")[1]


def _example(contract: Contract, *, now: datetime, borrower: str | None) -> dict[str, Any]:
    message = next(m for m in EXAMPLES if type(m) is contract.message_type)
    body = msgspec.to_builtins(message)
    return {
        "specversion": "1.0",
        "id": f"example-{_short_name(contract)}-{now:%Y%m%dT%H%M%S}",
        "source": "lender/example",
        "type": contract.ce_type,
        "time": now.isoformat(timespec="seconds"),
        "data": {**body, "borrower_id": borrower or body["borrower_id"]},
    }


@commands.command("publish")
def publish_command(
    file: Annotated[
        Path,
        typer.Argument(help="JSON Lines, one CloudEvent in structured form a line; - reads standard input"),
    ],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="publish the good lines all the same")] = False,
    check: Annotated[bool, typer.Option("--check", help="only check, publish nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of text")] = False,
) -> None:
    """Check every line as the services would, name the bad ones with line and reason, then publish.

    Nothing is published while a line is bad, unless --skip-bad.
    A file that is published twice changes nothing: events are known by source and id.
    --check needs no platform; times are checked against its clock where one runs here.
    Ends with 1 if a line was bad, with 2 if there is no line at all.

    \b
    decorum events example > events.jsonl     nine lines to begin with
    decorum events publish --check events.jsonl
    decorum events publish events.jsonl
    """
    settings = None if check else PlatformSettings.load()
    now = present_instant() if settings is None else settings.make_clock().now()
    lines = read_argument(file).splitlines()
    bar = Console(stderr=True)
    checked = track(lines, "checking", console=bar, transient=True, disable=not bar.is_terminal)
    good, bad = check_lines(checked, now=now)
    if not good and not bad:
        raise Rejection(f"{shown(file)}: there is no event in it")
    published = 0
    if settings is not None and good and (skip_bad or not bad):
        asyncio.run(_publish(settings, good))
        published = len(good)
    if as_json:
        refused = [{"line": b.line, "reason": b.reason, "detail": b.detail} for b in bad]
        typer.echo(json.dumps({"published": published, "good": len(good), "bad": refused}))
    else:
        _say(file, len(good), bad, published=published, check=check)
    raise typer.Exit(1 if bad else 0)


def _say(file: Path, good: int, bad: Sequence[BadLine], *, published: int, check: bool) -> None:
    for line in bad[:BAD_LINES_SHOWN]:
        typer.echo(f"{file.name}:{line.line}: {line}", err=True)
    if len(bad) > BAD_LINES_SHOWN:
        typer.echo(f"… and {len(bad) - BAD_LINES_SHOWN} more (all of them with --json)", err=True)
    if check:
        typer.echo(f"{good} good, {len(bad)} bad, nothing published (--check)")
    elif bad and not published:
        hint = " (--skip-bad publishes the good ones)" if good else ""
        typer.echo(f"nothing published: {len(bad)} of {good + len(bad)} lines are bad{hint}")
    else:
        typer.echo(f"{published} published to {LOAN_EVENTS}, {len(bad)} bad")


async def _publish(settings: PlatformSettings, lines: Sequence[GoodLine]) -> None:
    async with publisher(settings) as connection:
        bar = Console(stderr=True)
        with Progress(console=bar, transient=True, disable=not bar.is_terminal) as progress:
            task = progress.add_task("publishing", total=len(lines))
            for start in range(0, len(lines), PUBLISH_RECORDS_MAX):
                chunk = [line.as_sent() for line in lines[start : start + PUBLISH_RECORDS_MAX]]
                await connection.publish(chunk)
                progress.advance(task, len(chunk))
