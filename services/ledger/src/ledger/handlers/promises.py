"""Replies that promise to pay, and what payments and time make of promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import metrics
from ledger.domain.promises import Promise, announcement, announcement_id, open_promise, settle
from ledger.handlers.desk import Desk, case_row, entry_row
from shared.contracts import ReplyReceivedV1
from shared.kafka.records import Outgoing, Received


async def open_promises(
    tx: AsyncConnection, batch: Sequence[Received[ReplyReceivedV1]], *, desk: Desk
) -> Sequence[Outgoing]:
    """Note replies; open a promise for each that promises. One that answers a contact not read yet waits for it."""
    await desk.note(tx, [case_row(record) for record in batch])
    promising = {record.borrower_id: record for record in batch if record.message.intent == "promise"}
    if not promising:
        return ()
    await desk.store.lock_borrowers(tx, promising)
    replies = [record.message for record in batch if record.message.intent == "promise"]
    waiting = await _waiting_for_attempt(tx, replies, desk=desk)
    await desk.store.add_promise_requests(tx, waiting)
    ready = [reply for reply in replies if reply not in waiting]
    settled = await settle_promises(tx, {reply.borrower_id for reply in ready}, ready, desk=desk)
    return await announce(tx, settled, promising, desk=desk)


async def settle_promises(
    tx: AsyncConnection, borrower_ids: Iterable[str], replies: Sequence[ReplyReceivedV1] = (), *, desk: Desk
) -> list[Promise]:
    """Work out every promise of the (locked) borrowers again, with what `replies` promise.

    Keeps what changed; returns the promises that are new or have a new state.
    """
    wanted = sorted(set(borrower_ids))
    if not wanted:
        return []
    promises = await desk.store.promises(tx, wanted)
    before = {promise.promise_id: promise.state for some in promises.values() for promise in some}
    for promise in await _opened(tx, replies, desk=desk):
        if promise.promise_id not in before:
            promises.setdefault(promise.borrower_id, []).append(promise)
    if not promises:
        return []
    paid = await desk.store.paid_amounts(tx, promises)
    now, changed = desk.clock.now(), []
    for borrower_id in sorted(promises):
        changed.extend(settle(promises[borrower_id], paid.get(borrower_id, []), now))
    await desk.store.keep_promises(tx, changed)
    return [promise for promise in changed if promise.state != before.get(promise.promise_id)]


async def announce(
    tx: AsyncConnection, promises: Sequence[Promise], causes: Mapping[str, Received[Any]], *, desk: Desk
) -> list[Outgoing]:
    """Messages about `promises`, also put on the timeline; `causes` has the record that made each borrower's change."""
    messages = []
    for promise in promises:
        metrics.PROMISES.labels(promise.state).inc()
        message = announcement(promise)
        if message is not None:
            messages.append(
                Outgoing(
                    message=message,
                    ce_id=announcement_id(promise),
                    ce_time=desk.readable_at(message.at),
                    cause=causes.get(promise.borrower_id),
                )
            )
    await desk.note(tx, [entry_row(message) for message in messages])
    return messages


async def _waiting_for_attempt(
    tx: AsyncConnection, replies: Sequence[ReplyReceivedV1], *, desk: Desk
) -> list[ReplyReceivedV1]:
    """The replies whose amount is said by a contact that has not been read yet: topics have no common order."""
    answering = [r for r in replies if r.attempt_id is not None and not (r.promised_minor and r.currency)]
    known = await desk.store.attempts_due(tx, {(r.borrower_id, r.attempt_id or "") for r in answering})
    return [r for r in answering if (r.borrower_id, r.attempt_id) not in known]


async def _opened(tx: AsyncConnection, replies: Sequence[ReplyReceivedV1], *, desk: Desk) -> list[Promise]:
    if not replies:
        return []
    zones = await desk.store.lock_borrowers(tx, {reply.borrower_id for reply in replies})
    asked_for = await desk.store.attempts_due(tx, {(r.borrower_id, r.attempt_id) for r in replies if r.attempt_id})
    opened = []
    for reply in replies:
        due = asked_for.get((reply.borrower_id, reply.attempt_id or ""))
        if due is None and not (reply.promised_minor and reply.currency):
            due = await desk.store.amount_due(tx, reply.borrower_id)
        promise = open_promise(reply, due, zones[reply.borrower_id], desk.terms)
        if promise is not None:
            opened.append(promise)
    return opened
