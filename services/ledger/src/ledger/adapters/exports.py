"""Readings of the whole book for reports and auditors: one mapping a line, in the order of `at`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql import text

from shared.contracts import BalanceChangedV1
from shared.contracts.registry import BY_MESSAGE_TYPE

FETCH_ROWS: Final = 2_000
_BALANCE_KIND: Final = BY_MESSAGE_TYPE[BalanceChangedV1].ce_type
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])
Line = dict[str, Any]


async def _stream(engine: AsyncEngine, query: str, **parameters: Any) -> AsyncIterator[Any]:
    async with engine.connect() as connection:
        options = {"yield_per": FETCH_ROWS}
        result = await connection.stream(text(query), parameters, execution_options=options)
        async for row in result:
            yield row


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()


async def postings(engine: AsyncEngine) -> AsyncIterator[Line]:
    """Every line of every transaction; `amount_minor` is debit positive. Sorted by `at`, transaction and account."""
    query = (
        "SELECT at, transaction_id::text, kind, payment_id, account, amount_minor, currency, borrower_id, loan_id "
        "FROM posting ORDER BY at, transaction_id, account"
    )
    async for row in _stream(engine, query):
        yield {**row._mapping, "at": _instant(row.at)}


async def loans(engine: AsyncEngine) -> AsyncIterator[Line]:
    """Each loan's balance at each change; `at` is the latest business instant that the book then spoke of.

    Sorted by `at`, borrower, loan and `balance_version`, which orders changes of the same instant.
    """
    query = (
        "SELECT at, borrower_id, loan_id, detail::text AS detail FROM case_event WHERE kind = :kind "
        "ORDER BY at, borrower_id, loan_id, (detail->>'balance_version')::bigint"
    )
    async for row in _stream(engine, query, kind=_BALANCE_KIND):
        changed = _DECODER.decode(row.detail)
        yield {
            "at": _instant(row.at),
            "borrower_id": row.borrower_id,
            "loan_id": row.loan_id,
            "overdue_minor": sum(changed["overdue"].values()),
            "outstanding_minor": sum(changed["outstanding"].values()),
            "currency": changed["currency"],
            "closed": changed["closed"],
            "balance_version": changed["balance_version"],
        }


async def promises(engine: AsyncEngine) -> AsyncIterator[Line]:
    """Every promise with what became of it; `at` is when it was made. Sorted by `at` and id."""
    query = (
        "SELECT promised_at AS at, promise_id, borrower_id, loans, currency, promised_minor, promised_on, "
        "grace_ends_at, state, paid_minor, settled_at FROM promise ORDER BY promised_at, promise_id"
    )
    async for row in _stream(engine, query):
        yield {
            **row._mapping,
            "at": _instant(row.at),
            "loans": list(row.loans),
            "promised_on": row.promised_on.isoformat(),
            "grace_ends_at": _instant(row.grace_ends_at),
            "settled_at": _instant(row.settled_at),
        }
