"""`decorum gate held`: what waits for a person, and that person's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compliance_gate.adapters.held_attempts import HeldAttempt, held_attempts
from compliance_gate.adapters.reading import gate_database
from shared.commands.connections import acting_person, publish_actions, require_reason
from shared.commands.times import local
from shared.contracts import HeldReviewedV1
from shared.errors import Absent
from shared.service import PlatformSettings

commands = typer.Typer(help="Attempts that wait for a person: list, approve, refuse.", no_args_is_help=True)

DecisionId = Annotated[str, typer.Argument(help="The held decision's id, as `list` shows it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the evidence.")]
By = Annotated[str | None, typer.Option("--by", help="Who answers (default: the login name).")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text, one object a line.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most, the longest waiting first.")]


@commands.command("list")
def list_command(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show the attempts that wait for a person, with the rule that asked for one; times are the borrowers' own.

    \b
    decorum gate held list
    decorum gate held list --limit 10 --json
    """
    held = asyncio.run(_read(PlatformSettings.load(), limit=limit + 1))
    if as_json:
        for attempt in held[:limit]:
            typer.echo(msgspec.json.encode(attempt).decode())
    else:
        draw_held(held[:limit])
    if len(held) > limit:
        typer.echo(f"more than these {limit} wait: raise --limit", err=True)


@commands.command()
def approve(decision_id: DecisionId, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Approve: the attempt is submitted again and goes through every rule; only the one that asked is answered.

    \b
    decorum gate held approve DECISION --reason "she asked for this call"
    """
    _answer(decision_id, approved=True, reason=reason, by=by, as_json=as_json)


@commands.command()
def refuse(decision_id: DecisionId, reason: Reason, by: By = None, as_json: AsJson = False) -> None:
    """Refuse: the attempt ends.

    \b
    decorum gate held refuse DECISION --reason "in hospital until October"
    """
    _answer(decision_id, approved=False, reason=reason, by=by, as_json=as_json)


def _answer(decision_id: str, *, approved: bool, reason: str, by: str | None, as_json: bool) -> None:
    require_reason(reason)
    settings = PlatformSettings.load()
    held = asyncio.run(_read(settings, limit=1, decision_id=decision_id))
    if not held:
        raise Absent(f"{decision_id}: no attempt waits under this decision; `decorum gate held list` shows which do")
    [attempt] = held
    now = settings.make_clock().now()
    review = HeldReviewedV1(
        borrower_id=attempt.borrower_id,
        decision_id=decision_id,
        attempt_id=attempt.attempt_id,
        submission_number=attempt.submission_number,
        approved=approved,
        reviewed_by=acting_person(by),
        reason=reason,
        reviewed_at=now,
    )
    asyncio.run(publish_actions(settings, [review], at=now))
    word = "approved" if approved else "refused"
    if as_json:
        typer.echo(msgspec.json.encode({word: review}).decode())
    else:
        typer.echo(f"{word}: attempt {attempt.attempt_id} of {attempt.borrower_id}")


async def _read(settings: PlatformSettings, *, limit: int, decision_id: str | None = None) -> Sequence[HeldAttempt]:
    async with gate_database(settings) as engine:
        return await held_attempts(engine, limit=limit, decision_id=decision_id)


def draw_held(held: Sequence[HeldAttempt]) -> None:
    """Two columns, so that an id, which the answer needs, is whole at any usual width."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("decision", overflow="fold", min_width=36)
    table.add_column("what waits, and why", overflow="fold")
    for attempt in held:
        zone = ZoneInfo(attempt.zone)
        said = (
            f"{attempt.channel} to borrower {attempt.borrower_id}: {attempt.deciding_rule}",
            f"held {local(attempt.held_at, zone)}, expires {local(attempt.expires_at, zone)} ({zone})",
            attempt.sentence_en,
        )
        table.add_row(attempt.decision_id, Text("\n".join(said)))
    Console().print(table if held else "no attempt waits for a person")
