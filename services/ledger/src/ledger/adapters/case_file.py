"""What is known of one borrower's case, for people: balances, promises and the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.adapters import tables
from ledger.domain.timeline import CAUSAL_ORDER
from shared.contracts.registry import BY_MESSAGE_TYPE
from shared.postgres.rows import select_matching

EVERYBODY: Final = "all"
"""The borrower id of operator actions that concern more than one borrower."""
_LOAN_COLUMNS: Final = tuple(tables.loan.c.keys())
_PROMISE_COLUMNS: Final = tuple(tables.promise.c.keys())
_KINDS: Final = [BY_MESSAGE_TYPE[message_type].ce_type for message_type in CAUSAL_ORDER]
_EVENTS: Final = """
WITH latest AS (
    SELECT *, array_position($3::text[], kind) AS causal_rank, (detail->>'balance_version')::integer AS balance_version
    FROM case_event WHERE borrower_id = ANY($1::text[])
    ORDER BY at DESC, causal_rank DESC, balance_version DESC NULLS LAST, source DESC, event_id DESC LIMIT $2
)
SELECT at, kind, source, event_id, loan_id, payment_id, attempt_id, flags, detail FROM latest
ORDER BY at, causal_rank, balance_version NULLS FIRST, source, event_id
"""
_ZONES: Final = "SELECT unnest(zones) FROM borrower WHERE borrower_id = $1 ORDER BY 1"
_IS_KNOWN: Final = "SELECT EXISTS (SELECT FROM case_event WHERE borrower_id = $1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """One borrower's case; `events` are the latest ones, in order."""

    borrower_id: str
    zones: list[str]
    """Those that something known about the borrower points to, in order of their names."""
    loans: list[dict[str, Any]]
    promises: list[dict[str, Any]]
    events: list[dict[str, Any]]


async def read_case(tx: AsyncConnection, borrower_id: str, *, events_max: int) -> CaseFile | None:
    """The case of `borrower_id`, with stops that concern everybody; None for a borrower of whom nothing is known.

    Events are in order of time, those of one instant with causes before their effects.
    """
    if not (await tx.exec_driver_sql(_IS_KNOWN, (borrower_id,))).scalar_one():
        return None
    zones = (await tx.exec_driver_sql(_ZONES, (borrower_id,))).scalars()
    key = [{"borrower_id": borrower_id}]
    loans = await select_matching(tx, tables.loan, key, columns=_LOAN_COLUMNS, suffix="ORDER BY t.loan_id")
    promises = await select_matching(
        tx, tables.promise, key, columns=_PROMISE_COLUMNS, suffix="ORDER BY t.promised_at, t.reply_id"
    )
    result = await tx.exec_driver_sql(_EVENTS, ([borrower_id, EVERYBODY], events_max, _KINDS))
    return CaseFile(
        borrower_id=borrower_id,
        zones=list(zones),
        loans=[dict(row._mapping) for row in loans],
        promises=[dict(row._mapping) for row in promises],
        events=[dict(row._mapping) for row in result],
    )
