"""Replies that promise to pay, and what payments and time make of promises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import metrics
from ledger.domain.account import LoanAccount
from ledger.domain.promises import (
    AmountDue,
    Promise,
    amount_due,
    announcement,
    announcement_id,
    open_promise,
    priced,
    says_its_price,
    settle,
)
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
    tx: AsyncConnection,
    borrower_ids: Iterable[str],
    replies: Sequence[ReplyReceivedV1] = (),
    *,
    booked: Sequence[Received[Any]] = (),
    desk: Desk,
) -> list[Promise]:
    """Work out every promise of the (locked) borrowers again, with what `replies` promise.

    A promise priced by the book is priced again where something of `booked` happened before it was made. Keeps what
    changed; returns the promises that are new, have a new price or a new state.
    """
    first_booked = _earliest((record.borrower_id, record.ce_time) for record in booked)
    wanted = {*borrower_ids, *first_booked}
    if not wanted:
        return []
    promises = await desk.store.promises(tx, sorted(wanted))
    known = {promise.promise_id: promise for some in promises.values() for promise in some}
    opened = [promise for promise in await _opened(tx, replies, desk=desk) if promise.promise_id not in known]
    outdated = [p for p in known.values() if p.promised_at > first_booked.get(p.borrower_id, p.promised_at)]
    by_book = await _priced_by_book(tx, [p for p in (*opened, *outdated) if p.from_book], desk=desk)
    current = known | {promise.promise_id: promise for promise in (*opened, *by_book)}
    touched = {*borrower_ids, *(promise.borrower_id for promise in (*opened, *by_book))}
    return await _settle(tx, [p for p in current.values() if p.borrower_id in touched], known, desk=desk)


async def _settle(
    tx: AsyncConnection, promises: Sequence[Promise], known: Mapping[str, Promise], *, desk: Desk
) -> list[Promise]:
    if not promises:
        return []
    of_borrower: dict[str, list[Promise]] = defaultdict(list)
    for promise in promises:
        of_borrower[promise.borrower_id].append(promise)
    paid = await desk.store.paid_amounts(tx, of_borrower)
    now, changed = desk.clock.now(), []
    for borrower_id in sorted(of_borrower):
        changed.extend(settle(of_borrower[borrower_id], paid.get(borrower_id, []), now))
    await desk.store.keep_promises(tx, changed)
    return [p for p in changed if p.promise_id not in known or p.changes != known[p.promise_id].changes]


def _earliest(instants: Iterable[tuple[str, datetime]]) -> dict[str, datetime]:
    """Each borrower's first instant."""
    first: dict[str, datetime] = {}
    for borrower_id, at in instants:
        first[borrower_id] = min(at, first.get(borrower_id, at))
    return first


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
    answering = [r for r in replies if r.attempt_id is not None and not says_its_price(r)]
    known = await desk.store.attempts_due(tx, {(r.borrower_id, r.attempt_id or "") for r in answering})
    return [r for r in answering if (r.borrower_id, r.attempt_id) not in known]


async def _opened(tx: AsyncConnection, replies: Sequence[ReplyReceivedV1], *, desk: Desk) -> list[Promise]:
    """What `replies` promise; those that neither they nor the contact that they answer price are `from_book`."""
    if not replies:
        return []
    zones = await desk.store.lock_borrowers(tx, {reply.borrower_id for reply in replies})
    asked_for = await desk.store.attempts_due(tx, {(r.borrower_id, r.attempt_id) for r in replies if r.attempt_id})
    opened = []
    for reply in replies:
        due = asked_for.get((reply.borrower_id, reply.attempt_id or ""))
        promise = open_promise(reply, zones[reply.borrower_id], desk.terms)
        opened.append(priced(promise, due, from_book=due is None and not says_its_price(reply)))
    return opened


async def _priced_by_book(tx: AsyncConnection, promises: Sequence[Promise], *, desk: Desk) -> list[Promise]:
    """`promises` with what was due by the book when each was made."""
    if not promises:
        return []
    accounts = await desk.store.accounts_of(tx, {promise.borrower_id for promise in promises})
    first_made = _earliest((promise.borrower_id, promise.promised_at) for promise in promises)
    later = [a for a in accounts.values() if a.last_key and a.last_key[0] >= first_made[a.borrower_id]]
    accounts |= await desk.store.with_histories(tx, later)
    due = {p.promise_id: _due(p, accounts.values()) for p in promises}
    return [priced(promise, due[promise.promise_id], from_book=True) for promise in promises]


def _due(promise: Promise, accounts: Iterable[LoanAccount]) -> AmountDue | None:
    books = [(a.loan_id, a.book_before(promise.promised_at)) for a in accounts if a.borrower_id == promise.borrower_id]
    return amount_due(books, promise.said_currency)
