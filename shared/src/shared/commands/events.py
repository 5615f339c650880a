"""`decorum events`: publish loan events by hand, checked before the first of them leaves."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import Progress

from shared.commands.connections import publisher
from shared.contracts.registry import LOAN_EVENTS
from shared.contracts.types import Message
from shared.errors import Poison
from shared.kafka.records import Headers, Outgoing, Received, WireMessage, decode, encode
from shared.service import PlatformSettings

PUBLISH_RECORDS_MAX: Final = 2_000
STRUCTURED: Final = ("content-type", b"application/cloudevents+json; charset=utf-8")

commands = typer.Typer(help="Publish loan events, as a lender's core systems do.", no_args_is_help=True)


@dataclass(slots=True, kw_only=True)
class _Line:
    """A line of the file in the form that the consumers decode."""

    value: bytes
    offset: int
    topic: str = LOAN_EVENTS
    partition: int = 0
    key: bytes | None = None
    headers: Headers = (STRUCTURED,)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that no service would take, and why."""

    line: int
    reason: str
    detail: str


def check_lines(lines: list[bytes], *, now: datetime) -> tuple[list[Received[Message]], list[BadLine]]:
    """Decode `lines` (CloudEvents in structured form) exactly as the services do; `now` bounds their times."""
    events: list[Received[Message]] = []
    bad: list[BadLine] = []
    bodies: dict[tuple[str, str, str], bytes] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = decode(_Line(value=line, offset=number), now=now)
            if bodies.setdefault(event.key, event.body_sha256) != event.body_sha256:
                raise Poison("id_reused_with_other_body")
        except Poison as poison:
            bad.append(BadLine(line=number, reason=poison.reason, detail=poison.detail))
        else:
            events.append(event)
    return events, bad


@commands.callback()
def group() -> None:
    """Publish loan events, as a lender's core systems do."""


@commands.command("publish")
def publish_command(
    file: Annotated[Path, typer.Argument(help="JSON Lines, one CloudEvent in structured form a line", exists=True)],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="publish the good lines all the same")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of text")] = False,
) -> None:
    """Check every line as the services would, name the bad ones with line and reason, then publish.

    Nothing is published while a line is bad, unless --skip-bad. Exit 0, or 1 if a line was bad.
    """
    settings = PlatformSettings.load()
    events, bad = check_lines(file.read_bytes().splitlines(), now=settings.make_clock().now())
    publish = bool(events) and (skip_bad or not bad)
    if publish:
        asyncio.run(_publish(settings, events, show=not as_json))
    published = len(events) if publish else 0
    if as_json:
        report = {
            "published": published,
            "bad": [{"line": b.line, "reason": b.reason, "detail": b.detail} for b in bad],
        }
        typer.echo(json.dumps(report))
    else:
        for line in bad:
            typer.echo(f"{file.name}:{line.line}: {line.reason}{': ' + line.detail if line.detail else ''}", err=True)
        typer.echo(f"{published} published, {len(bad)} bad")
    raise typer.Exit(1 if bad else 0)


async def _publish(settings: PlatformSettings, events: list[Received[Message]], *, show: bool) -> None:
    messages = [_as_sent(event) for event in events]
    async with publisher(settings) as connection:
        with Progress(disable=not show, transient=True) as progress:
            task = progress.add_task("publishing", total=len(messages))
            for start in range(0, len(messages), PUBLISH_RECORDS_MAX):
                chunk = messages[start : start + PUBLISH_RECORDS_MAX]
                await connection.publish(chunk)
                progress.advance(task, len(chunk))


def _as_sent(event: Received[Message]) -> WireMessage:
    outgoing = Outgoing(message=event.message, ce_id=event.ce_id, ce_time=event.ce_time, cause=event)
    return encode(outgoing, source=event.ce_source)
