"""`ReceiptStore` and `DeliveryLog` on Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from notifier.adapters import tables
from notifier.adapters.permit_sql import ENDED_COLUMNS
from notifier.domain.permits import PermitEnded
from notifier.domain.receipts import Receipt
from notifier.ports import KnownAttempt, Tx
from shared.contracts import ContactResult
from shared.postgres.rows import insert_rows, update_rows

_LOCK: Final = f"""
SELECT {ENDED_COLUMNS}, p.result FROM permit p WHERE p.attempt_id = ANY($1::text[])
ORDER BY p.borrower_id, p.attempt_id, p.submission_number FOR UPDATE OF p"""

_TAKE_WAITING: Final = """
UPDATE receipt r SET applied = true
WHERE (r.attempt_id, r.receipt_id) IN (
  SELECT w.attempt_id, w.receipt_id FROM receipt w
  WHERE NOT w.applied AND EXISTS (SELECT 1 FROM permit p WHERE p.attempt_id = w.attempt_id)
  ORDER BY w.attempt_id, w.receipt_id LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
RETURNING r.attempt_id, r.receipt_id, r.message_id, r.channel, r.status, r.occurred_at"""

_FORGET: Final = """
DELETE FROM webhook_delivery WHERE delivery_id IN (
  SELECT delivery_id FROM webhook_delivery WHERE seen_at < $1::timestamptz LIMIT $2::bigint)"""


class PostgresReceipts:
    """Receipts and the permits that they speak of."""

    async def lock_attempts(self, tx: Tx, attempt_ids: Sequence[str], *, now: datetime) -> Mapping[str, KnownAttempt]:
        chosen: dict[str, Any] = {}
        for row in await tx.exec_driver_sql(_LOCK, (sorted(set(attempt_ids)),)):
            known = chosen.get(row.attempt_id)
            if known is None or known.sent_at is None:  # the last submission, unless an earlier one was sent
                chosen[row.attempt_id] = row
        return {attempt_id: _known(row, now) for attempt_id, row in chosen.items()}

    async def add(self, tx: Tx, receipts: Sequence[Receipt], *, applied: frozenset[str]) -> Sequence[Receipt]:
        rows = [
            {
                "attempt_id": r.attempt_id,
                "receipt_id": r.receipt_id,
                "message_id": r.message_id,
                "channel": r.channel,
                "status": r.status,
                "occurred_at": r.occurred_at,
                "applied": r.attempt_id in applied,
            }
            for r in sorted(receipts, key=lambda r: (r.attempt_id, r.receipt_id))
        ]
        written = await insert_rows(tx, tables.receipt, rows, returning=("attempt_id", "receipt_id"))
        new = {(row.attempt_id, row.receipt_id) for row in written}
        once = {(r.attempt_id, r.receipt_id): r for r in reversed(receipts)}
        return [once[key] for key in sorted(new)]

    async def take_waiting(self, tx: Tx, *, limit: int) -> Sequence[Receipt]:
        rows = await tx.exec_driver_sql(_TAKE_WAITING, (limit,))
        return [
            Receipt(
                receipt_id=row.receipt_id,
                attempt_id=row.attempt_id,
                message_id=row.message_id,
                channel=row.channel,
                status=row.status,
                occurred_at=row.occurred_at,
            )
            for row in rows
        ]

    async def prove(
        self, tx: Tx, proofs: Sequence[tuple[KnownAttempt, Receipt, ContactResult]], *, now: datetime
    ) -> None:
        rows = [
            {
                "borrower_id": known.ended.borrower_id,
                "attempt_id": known.ended.attempt_id,
                "submission_number": known.ended.submission_number,
                "state": "made",
                "reason": None,
                "sent_at": known.ended.at,
                "ended_at": now,
                "message_id": receipt.message_id,
                "result": result,
            }
            for known, receipt, result in proofs
        ]
        await update_rows(tx, tables.permit, rows, keys=("borrower_id", "attempt_id", "submission_number"))


def _known(row: Any, now: datetime) -> KnownAttempt:
    ended = PermitEnded(
        borrower_id=row.borrower_id,
        attempt_id=row.attempt_id,
        submission_number=row.submission_number,
        decision_id=row.decision_id,
        channel=row.channel,
        contact_point_id=row.contact_point_id,
        loans=tuple(row.loans),
        provider=row.provider,
        state="made",
        reason=None,
        at=row.sent_at or now,
    )
    return KnownAttempt(ended=ended, state=row.state, result=row.result)


class PostgresDeliveries:
    """Deliveries of webhooks by their ids."""

    async def note(self, tx: Tx, delivery_ids: Sequence[str], *, now: datetime) -> frozenset[str]:
        rows = [{"delivery_id": delivery_id, "seen_at": now} for delivery_id in sorted(set(delivery_ids))]
        written = await insert_rows(tx, tables.webhook_delivery, rows, returning=("delivery_id",))
        return frozenset(row.delivery_id for row in written)

    async def forget(self, tx: Tx, *, before: datetime, limit: int) -> int:
        return int((await tx.exec_driver_sql(_FORGET, (before, limit))).rowcount)
