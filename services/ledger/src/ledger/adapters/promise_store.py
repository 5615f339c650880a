"""Storage of promises to pay, and of the amounts that they are measured against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.adapters import tables
from ledger.domain.promises import AmountDue, PaidAmount, Promise
from shared.contracts import ReplyReceivedV1
from shared.postgres.rows import Upsert, insert_rows, select_matching

_PROMISE_COLUMNS: Final = tuple(tables.promise.c.keys())
_DUE_KINDS: Final = "'contact.attempt-submitted.v1', 'contact.contact-allowed.v1'"


class PromiseStore:
    """The part of `LedgerStore` that is about promises."""

    async def promises(self, tx: AsyncConnection, borrower_ids: Iterable[str]) -> dict[str, list[Promise]]:
        keys = [{"borrower_id": borrower_id} for borrower_id in borrower_ids]
        found: dict[str, list[Promise]] = defaultdict(list)
        for row in await select_matching(tx, tables.promise, keys, columns=_PROMISE_COLUMNS):
            values = {column: getattr(row, column) for column in _PROMISE_COLUMNS}
            loans = {"loans": tuple(row.loans), "said_loans": tuple(row.said_loans)}
            found[row.borrower_id].append(Promise(**{**values, **loans}))
        return dict(found)

    async def paid_amounts(self, tx: AsyncConnection, borrower_ids: Iterable[str]) -> dict[str, list[PaidAmount]]:
        result = await tx.exec_driver_sql(
            "SELECT DISTINCT ON (borrower_id, loan_id, payment_id) borrower_id, at, "
            "detail->>'currency' AS currency, (detail->>'amount_minor')::bigint AS amount_minor FROM case_event p "
            "WHERE kind = 'lender.payment-received.v1' AND borrower_id = ANY($1::text[]) AND NOT EXISTS ("
            "SELECT FROM case_event r WHERE r.kind = 'lender.payment-reversed.v1' AND r.borrower_id = p.borrower_id "
            "AND r.loan_id = p.loan_id AND r.payment_id = p.payment_id) "
            'ORDER BY borrower_id, loan_id, payment_id, at, source COLLATE "C", event_id COLLATE "C"',
            (sorted(set(borrower_ids)),),
        )
        paid: dict[str, list[PaidAmount]] = defaultdict(list)
        for row in result:
            paid[row.borrower_id].append(PaidAmount(at=row.at, currency=row.currency, amount_minor=row.amount_minor))
        return dict(paid)

    async def keep_promises(self, tx: AsyncConnection, promises: Sequence[Promise]) -> None:
        keys = ("borrower_id", "promise_id")
        price = ("currency", "loans", "promised_minor")
        upsert = Upsert(keys=keys, update=(*price, "state", "paid_minor", "settled_at", "said_at", "changes"))
        # Those that end come first: there is never more than one open promise of a borrower and currency.
        for still_open in (False, True):
            values = [
                {column: getattr(promise, column) for column in _PROMISE_COLUMNS}
                for promise in promises
                if (promise.state == "open") is still_open
            ]
            await insert_rows(tx, tables.promise, values, on_conflict=upsert)

    async def attempts_due(
        self, tx: AsyncConnection, attempts: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], AmountDue]:
        keys = [{"borrower_id": borrower_id, "attempt_id": attempt_id} for borrower_id, attempt_id in attempts]
        found = await select_matching(
            tx,
            tables.case_event,
            keys,
            columns=("borrower_id", "attempt_id", "detail"),
            suffix=f"WHERE t.kind IN ({_DUE_KINDS}) ORDER BY t.at",
        )
        due: dict[tuple[str, str], AmountDue] = {}
        for row in found:
            detail = row.detail
            due[(row.borrower_id, row.attempt_id)] = AmountDue(
                currency=detail["currency"], amount_minor=detail["due_minor"], loans=tuple(detail["loans"])
            )
        return due

    async def add_promise_requests(self, tx: AsyncConnection, replies: Sequence[ReplyReceivedV1]) -> None:
        values = [
            {"borrower_id": r.borrower_id, "reply_id": r.reply_id, "attempt_id": r.attempt_id, "reply": r}
            for r in replies
        ]
        await insert_rows(tx, tables.promise_request, values)

    async def take_promise_requests(
        self, tx: AsyncConnection, *, waited_seconds_max: float, limit: int
    ) -> list[ReplyReceivedV1]:
        result = await tx.exec_driver_sql(
            "DELETE FROM promise_request WHERE (borrower_id, reply_id) IN ("
            "SELECT borrower_id, reply_id FROM promise_request q "
            "WHERE asked_at < now() - make_interval(secs => $1) OR EXISTS ("
            "SELECT FROM case_event c WHERE c.borrower_id = q.borrower_id AND c.attempt_id = q.attempt_id "
            f"AND c.kind IN ({_DUE_KINDS})) "
            "ORDER BY borrower_id, reply_id LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING reply",
            (waited_seconds_max, limit),
        )
        replies = (msgspec.convert(row.reply, ReplyReceivedV1) for row in result)
        return sorted(replies, key=lambda r: (r.borrower_id, r.reply_id))

    async def borrowers_at_grace_end(self, tx: AsyncConnection, now: datetime, limit: int) -> list[str]:
        # No row is locked here: borrowers are locked first everywhere, and settling twice changes nothing.
        result = await tx.exec_driver_sql(
            "SELECT borrower_id FROM promise WHERE state = 'open' AND grace_ends_at <= $1 "
            "ORDER BY grace_ends_at LIMIT $2",
            (now, limit),
        )
        return sorted({row.borrower_id for row in result})

    async def next_grace_end(self, tx: AsyncConnection) -> datetime | None:
        result = await tx.exec_driver_sql("SELECT min(grace_ends_at) AS due FROM promise WHERE state = 'open'")
        due: datetime | None = result.scalar_one()
        return due
