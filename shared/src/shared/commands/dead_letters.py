"""`decorum dead-letters`: what could not be handled, shown with personal data masked, and driven again on request."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from shared.commands import panels
from shared.commands.connections import acting_person, publish_actions, publisher, require_reason
from shared.contracts.operator_actions import DeadLetterAccessedV1
from shared.contracts.registry import CONTRACTS
from shared.contracts.types import Message
from shared.errors import REASON_CODES, Absent, Rejection
from shared.kafka.dead_letter_reader import DeadLetter, masked, read_all
from shared.kafka.dead_letters import REDRIVE_COUNT_MAX, REDRIVE_RECORDS_MAX, redriven
from shared.service import PlatformSettings

commands = typer.Typer(
    help="List, show and re-drive records that could not be handled.",
    no_args_is_help=True,
    rich_help_panel=panels.OPERATE,
)

Topic = Annotated[str | None, typer.Option("--topic", help="only of this topic (its name without .dead-letter)")]
Why = Annotated[str | None, typer.Option("--code", help="only with this reason code, such as unknown_currency")]
Service = Annotated[str | None, typer.Option("--service", help="only those that this service refused")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for a machine")]
By = Annotated[str | None, typer.Option("--by", help="who does it (default: the login name)")]
Place = Annotated[str, typer.Argument(help="TOPIC/PARTITION/OFFSET as `list` prints it")]


@commands.callback()
def group() -> None:
    """List, show and re-drive records that could not be handled.

    A record that a service can't handle is kept as it came, with the reason and where it lay.
    The rest of its batch goes on. A record that several services refuse is kept by each of them.
    """


def _select(
    settings: PlatformSettings, topic: str | None = None, code: str | None = None, service: str | None = None
) -> list[DeadLetter]:
    if code is not None and code not in REASON_CODES:
        raise Rejection(f"there is no reason code {code}; there are {', '.join(REASON_CODES)}")
    topics = sorted({contract.topic for contract in CONTRACTS})
    if topic is not None and topic not in topics:
        raise Rejection(f"there is no topic {topic}; there are {', '.join(topics)}")
    with Console(stderr=True).status("reading the dead letters"):
        letters = asyncio.run(read_all(settings.kafka_bootstrap_servers))
    return [
        letter
        for letter in letters
        if topic in (None, letter.topic) and code in (None, letter.reason) and service in (None, letter.group)
    ]


def _find(settings: PlatformSettings, place: str) -> DeadLetter:
    for letter in _select(settings):
        if letter.place == place:
            return letter
    raise Absent(f"there is no dead letter at {place} (decorum dead-letters list)")


def _audit(letter: DeadLetter, action: str, by: str | None, reason: str, settings: PlatformSettings) -> Message:
    return DeadLetterAccessedV1(
        borrower_id=letter.borrower_id,
        action="revealed" if action == "revealed" else "redriven",
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        group=letter.group or None,
        accessed_by=acting_person(by),
        reason=reason,
        accessed_at=settings.make_clock().now(),
    )


@commands.command("list")
def list_command(topic: Topic = None, code: Why = None, service: Service = None, as_json: AsJson = False) -> None:
    """Every dead letter: where it is, since when, which service refused it, and why. No body is shown.

    With --json one object a line.

    \b
    decorum dead-letters list --code unknown_currency
    decorum dead-letters list --service ledger --json
    """
    letters = _select(PlatformSettings.load(), topic, code, service)
    if as_json:
        for letter in letters:
            typer.echo(json.dumps(letter.summary()))
        return
    if not letters:
        typer.echo("no dead letters" + (" of this kind" if topic or code or service else ""))
        return
    for line in _lines(letters):
        typer.echo(line)
    reasons = ", ".join(f"{reason} {number}" for reason, number in Counter(x.reason for x in letters).most_common())
    typer.echo(f"{len(letters)} dead letters: {reasons}")
    typer.echo(f"look at one: decorum dead-letters show {letters[-1].place}")


def _lines(letters: Sequence[DeadLetter]) -> list[str]:
    """A line for each letter, in columns as wide as they need to be, and one below it for what else there is to say."""
    rows = [("place", "reason", "refused by", "since")]
    rows += [(x.place, x.reason, x.group or "?", f"{x.at[:16]}Z" if x.at else "?") for x in letters]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    aligned = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines = [aligned[0], "-" * (sum(widths) + 6)]
    for letter, line in zip(letters, aligned[1:], strict=True):
        again = f"driven again {letter.redrive_count} times" if letter.redrive_count else ""
        more = "; ".join(text for text in (letter.detail, again) if text)
        lines += [line, f"    {more}"] if more else [line]
    return lines


@commands.command("show")
def show_command(
    place: Place,
    reveal: Annotated[bool, typer.Option("--reveal", help="show personal data; audited, needs --reason")] = False,
    reason: Annotated[str, typer.Option("--reason", help="why it is revealed")] = "",
    by: By = None,
) -> None:
    """One dead letter with its headers and body, as JSON; every text in the body is masked unless it is revealed.

    Ids, dates, codes and amounts stay readable.
    Who reveals what, and why, is published before anything is shown.

    \b
    decorum dead-letters show lender.loan-events.v1/3/17
    decorum dead-letters show lender.loan-events.v1/3/17 --reveal --reason "ticket 4711: wrong number format"
    """
    if reveal and not reason.strip():
        raise Rejection("--reveal needs --reason: it is kept with the audit")
    settings = PlatformSettings.load()
    letter = _find(settings, place)
    if reveal:
        now = settings.make_clock().now()
        asyncio.run(publish_actions(settings, [_audit(letter, "revealed", by, reason, settings)], at=now))
    body: Any = letter.value.decode("utf-8", "backslashreplace") if reveal else masked(letter.value)
    shown = {**letter.summary(), "headers": letter.shown_headers(revealed=reveal), "body": body}
    typer.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@commands.command("redrive")
def redrive_command(
    reason: Annotated[str, typer.Option("--reason", help="why; kept with the audit")],
    place: Annotated[str | None, typer.Argument(help="one TOPIC/PARTITION/OFFSET as `list` prints it")] = None,
    everything: Annotated[bool, typer.Option("--all", help="all that match the other options")] = False,
    topic: Topic = None,
    code: Why = None,
    service: Service = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=REDRIVE_RECORDS_MAX, help="at most so many")] = 100,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back on their topic, for the service that refused them; other services pass them over.

    They are checked like any other record, so this helps once the cause is mended.
    An attempt goes through the gate again.
    Each is driven again at most 5 times, and every one is audited.
    With --all those are passed over that were driven again before: what was refused anew has a letter of its own.

    \b
    decorum dead-letters redrive lender.loan-events.v1/3/17 --reason "the ledger knows the currency now"
    decorum dead-letters redrive --all --code handler_error --service ledger --reason "release 1.4.2"
    """
    if (place is None) != everything:
        raise Rejection("give one place, or --all with what to choose by")
    require_reason(reason)
    settings = PlatformSettings.load()
    found = [_find(settings, place)] if place else _select(settings, topic, code, service)
    letters = [letter for letter in found if place or not letter.is_driven_again]
    ready = [letter for letter in letters if letter.redrive_count < REDRIVE_COUNT_MAX and letter.group]
    chosen = ready[:limit]
    if chosen:
        now = settings.make_clock().now()
        asyncio.run(publish_actions(settings, [_audit(x, "redriven", by, reason, settings) for x in chosen], at=now))
        asyncio.run(_redrive(settings, chosen))
    before, exhausted, left = len(found) - len(letters), len(letters) - len(ready), len(ready) - len(chosen)
    if as_json:
        numbers = {"driven_before": before, "exhausted": exhausted, "left": left}
        typer.echo(json.dumps({"redriven": [x.place for x in chosen], **numbers}))
        return
    typer.echo(f"{len(chosen)} driven again")
    if before:
        typer.echo(f"{before} passed over: driven again before; one named by its place is driven once more")
    if exhausted:
        typer.echo(f"{exhausted} not: driven again {REDRIVE_COUNT_MAX} times already")
    if left:
        typer.echo(f"{left} more match: run it again, or raise --limit")


async def _redrive(settings: PlatformSettings, letters: Sequence[DeadLetter]) -> None:
    async with publisher(settings) as connection:
        await connection.publish(
            [redriven(x.topic, x.key, x.value, x.headers, group=x.group, count=x.redrive_count + 1) for x in letters]
        )
