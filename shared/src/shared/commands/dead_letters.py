"""`decorum dead-letters`: what could not be handled, shown with personal data masked, and driven again on request."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shared.commands.connections import acting_person, publish_actions, publisher
from shared.contracts.operator_actions import DeadLetterAccessedV1
from shared.contracts.types import Message
from shared.errors import Rejection
from shared.kafka.dead_letter_reader import DeadLetter, masked, read_all
from shared.kafka.dead_letters import REDRIVE_COUNT_MAX, REDRIVE_RECORDS_MAX, redriven
from shared.service import PlatformSettings

commands = typer.Typer(help="List, show and re-drive records that could not be handled.", no_args_is_help=True)

Topic = Annotated[str | None, typer.Option("--topic", help="only of this topic (its name without .dead-letter)")]
Why = Annotated[str | None, typer.Option("--code", help="only with this reason code")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a line")]
By = Annotated[str | None, typer.Option("--by", help="who does it (default: the login name)")]
Place = Annotated[str, typer.Argument(help="TOPIC/PARTITION/OFFSET as `list` prints it")]


@commands.callback()
def group() -> None:
    """List, show and re-drive records that could not be handled."""


def _select(settings: PlatformSettings, topic: str | None, code: str | None) -> list[DeadLetter]:
    letters = asyncio.run(read_all(settings.kafka_bootstrap_servers))
    return [
        letter
        for letter in letters
        if (topic is None or letter.topic == topic) and (code is None or letter.reason == code)
    ]


def _find(settings: PlatformSettings, place: str) -> DeadLetter:
    for letter in _select(settings, None, None):
        if letter.place == place:
            return letter
    raise Rejection(f"there is no dead letter at {place}")


def _audit(letter: DeadLetter, action: str, by: str | None, reason: str, settings: PlatformSettings) -> Message:
    return DeadLetterAccessedV1(
        borrower_id=letter.borrower_id,
        action="revealed" if action == "revealed" else "redriven",
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        accessed_by=acting_person(by),
        reason=reason,
        accessed_at=settings.make_clock().now(),
    )


@commands.command("list")
def list_command(topic: Topic = None, code: Why = None, as_json: AsJson = False) -> None:
    """Every dead letter: where it is, since when, for which service, and why. No body is shown."""
    letters = _select(PlatformSettings.load(), topic, code)
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(letter.summary()))
        return
    table = Table("place", "at", "service", "reason", "detail", "original offset", "bytes", title="dead letters")
    for letter in letters:
        row = letter.summary()
        table.add_row(*(str(row[name]) for name in ("place", "at", "group", "reason", "detail", "offset", "bytes")))
    Console().print(table)
    typer.echo(f"{len(letters)} dead letters")


@commands.command("show")
def show_command(
    place: Place,
    reveal: Annotated[bool, typer.Option("--reveal", help="show personal data; audited, needs --reason")] = False,
    reason: Annotated[str, typer.Option("--reason", help="why it is revealed")] = "",
    by: By = None,
) -> None:
    """One dead letter with its headers and body; every text in the body is masked unless it is revealed."""
    settings = PlatformSettings.load()
    letter = _find(settings, place)
    if reveal:
        if not reason:
            raise Rejection("--reveal needs --reason")
        now = settings.make_clock().now()
        # The audit is acknowledged before anything is shown.
        asyncio.run(publish_actions(settings, [_audit(letter, "revealed", by, reason, settings)], at=now))
    body: Any = letter.value.decode("utf-8", "replace") if reveal else masked(letter.value)
    typer.echo(json.dumps({**letter.summary(), "headers": letter.shown_headers(), "body": body}, indent=2))


@commands.command("redrive")
def redrive_command(
    reason: Annotated[str, typer.Option("--reason", help="why; kept with the audit")],
    place: Annotated[str | None, typer.Argument(help="one TOPIC/PARTITION/OFFSET; without it, all that match")] = None,
    topic: Topic = None,
    code: Why = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=REDRIVE_RECORDS_MAX, help="at most so many")] = 100,
    by: By = None,
) -> None:
    """Put dead letters back on their topic, for the service that refused them; it checks them like any other.

    An attempt goes through the gate again. Each is driven again a bounded number of times, and every one is audited.
    """
    settings = PlatformSettings.load()
    letters = [_find(settings, place)] if place else _select(settings, topic, code)[:limit]
    ready = [letter for letter in letters if letter.redrive_count < REDRIVE_COUNT_MAX]
    now = settings.make_clock().now()
    if ready:
        asyncio.run(publish_actions(settings, [_audit(x, "redriven", by, reason, settings) for x in ready], at=now))
        asyncio.run(_redrive(settings, ready))
    typer.echo(f"{len(ready)} driven again, {len(letters) - len(ready)} refused (driven {REDRIVE_COUNT_MAX} times)")


async def _redrive(settings: PlatformSettings, letters: list[DeadLetter]) -> None:
    async with publisher(settings) as connection:
        await connection.publish(
            [redriven(x.topic, x.key, x.value, x.headers, group=x.group, count=x.redrive_count + 1) for x in letters]
        )
