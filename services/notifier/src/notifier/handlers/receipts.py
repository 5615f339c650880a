"""Receipts: a receipt of any kind proves that the carrier took the request, so it counts the contact (again)."""

from __future__ import annotations

from collections.abc import Sequence

from notifier import metrics
from notifier.domain.permits import rises
from notifier.domain.receipts import Receipt
from notifier.handlers.desk import Desk
from notifier.handlers.outgoing import end_of_permit, progress
from notifier.ports import KnownAttempt, Tx
from shared.contracts import ContactResult, further
from shared.kafka.records import Outgoing


async def take_receipts(tx: Tx, batch: Sequence[Receipt], *, desk: Desk) -> list[Outgoing]:
    """Store the receipts of a batch of deliveries, in any order and any number of copies; apply the new ones whose
    attempt is known.
    """
    now = desk.clock.now()
    known = await desk.receipts.lock_attempts(tx, [receipt.attempt_id for receipt in batch], now=now)
    new = await desk.receipts.add(tx, batch, applied=frozenset(known))
    for receipt in batch:
        metrics.RECEIPTS.labels(receipt.channel, receipt.status, "received").inc()
    return await _apply(tx, new, dict(known), desk=desk)


async def apply_waiting(tx: Tx, *, desk: Desk, limit: int) -> tuple[int, list[Outgoing]]:
    """Apply receipts that came before their attempt was known; how many, and what to publish."""
    waiting = await desk.receipts.take_waiting(tx, limit=limit)
    if not waiting:
        return 0, []
    now = desk.clock.now()
    known = await desk.receipts.lock_attempts(tx, [receipt.attempt_id for receipt in waiting], now=now)
    return len(waiting), await _apply(tx, waiting, dict(known), desk=desk)


async def _apply(tx: Tx, receipts: Sequence[Receipt], known: dict[str, KnownAttempt], *, desk: Desk) -> list[Outgoing]:
    now = desk.clock.now()
    proofs: dict[str, tuple[KnownAttempt, Receipt, ContactResult]] = {}
    messages: list[Outgoing] = []
    for receipt in receipts:
        attempt = known.get(receipt.attempt_id)
        if attempt is None:
            metrics.RECEIPTS.labels(receipt.channel, receipt.status, "waiting").inc()
            continue
        if receipt.attempt_id not in proofs and rises(attempt.state, "made"):
            messages.append(end_of_permit(attempt.ended, now=now))
        before = proofs[receipt.attempt_id][2] if receipt.attempt_id in proofs else attempt.result or "sent"
        proofs[receipt.attempt_id] = (attempt, receipt, further(before, receipt.result))
        messages.append(progress(attempt.ended, receipt, now=now))
        metrics.RECEIPTS.labels(receipt.channel, receipt.status, "applied").inc()
    await desk.receipts.prove(tx, list(proofs.values()), now=now)
    return messages
