"""Loan events into the book: one batch, one transaction, each event posted once in the order of its arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import metrics
from ledger.domain.account import BookEvent, LoanAccount, Posting, post
from ledger.domain.book import BookMessage
from ledger.handlers.desk import Desk, case_row, entry_row
from ledger.handlers.promises import announce, settle_promises
from ledger.ports import LoanKey, PaymentKey
from shared.contracts import LoanOverdueV1, LoanRegisteredV1, Message, PaymentReceivedV1, PaymentReversedV1
from shared.ids import derive
from shared.kafka.consumer import PoisonRecord
from shared.kafka.records import Outgoing, Received

BookRecord = Received[Any]
Posted = Sequence[tuple[BookRecord, Posting]]


async def post_loan_events(tx: AsyncConnection, batch: Sequence[BookRecord], *, desk: Desk) -> Sequence[Outgoing]:
    """Post each event on its loan's account; late ones correct what is booked. Answers with entries.

    A snapshot in another currency than the loan's is poison; money in another currency is booked in suspense.
    """
    store = desk.store
    await store.lock_borrowers(tx, {record.borrower_id for record in batch})
    accounts = await store.accounts(tx, {_loan(record.message) for record in batch}, desk.order)
    events = [_event(record) for record in batch]
    looking_back = await _looking_back(tx, accounts, events, desk=desk)
    accounts |= await store.with_histories(tx, [accounts[loan] for loan in sorted(looking_back)])
    posted = _post_in_order(accounts, batch, events)
    now = desk.clock.now()
    messages = [message for record, posting in posted for message in _entries(record, posting, desk=desk, now=now)]
    await store.keep_accounts(tx, list(accounts.values()))
    await store.add_transactions(
        tx, [(_loan(record.message), one) for record, posting in posted for one in posting.transactions]
    )
    rows = [case_row(record, posting.flags) for record, posting in posted]
    await desk.note(tx, [*rows, *map(entry_row, messages)])
    _count(posted, len(looking_back))
    money = {r.borrower_id: r for r in batch if isinstance(r.message, (PaymentReceivedV1, PaymentReversedV1))}
    settled = await settle_promises(tx, money, booked=batch, desk=desk)
    return [*messages, *await announce(tx, settled, {r.borrower_id: r for r in batch} | money, desk=desk)]


def _post_in_order(
    accounts: dict[LoanKey, LoanAccount], batch: Sequence[BookRecord], events: Sequence[BookEvent]
) -> Posted:
    posted = []
    for record, event in zip(batch, events, strict=True):
        account = accounts[_loan(event.message)]
        if _speaks_of_other_currency(event, account):
            raise PoisonRecord(record, "currency_mismatch", "currency is not the loan's")
        accounts[account.loan], posting = post(account, event)
        posted.append((record, posting))
    return posted


async def _looking_back(
    tx: AsyncConnection, accounts: Mapping[LoanKey, LoanAccount], events: Sequence[BookEvent], *, desk: Desk
) -> set[LoanKey]:
    """The loans on which some event is late, a reversal, or of a payment that was seen before."""
    received = [_payment(e.message) for e in events if isinstance(e.message, PaymentReceivedV1)]
    seen = await desk.store.seen_payments(tx, received)
    newest = {loan: account.last_key for loan, account in accounts.items()}
    looking_back: set[LoanKey] = set()
    for event in events:
        loan, message = _loan(event.message), event.message
        last = newest[loan]
        late = last is not None and event.key < last
        if not late:
            newest[loan] = event.key
        doubled = isinstance(message, PaymentReceivedV1) and _payment(message) in seen
        if late or doubled or isinstance(message, PaymentReversedV1):
            looking_back.add(loan)
        if isinstance(message, PaymentReceivedV1):
            seen.add(_payment(message))
    return looking_back


def _speaks_of_other_currency(event: BookEvent, account: LoanAccount) -> bool:
    if not isinstance(event.message, (LoanRegisteredV1, LoanOverdueV1)):
        return False
    return account.book.currency not in (None, event.message.currency)


def _entries(record: BookRecord, posting: Posting, *, desk: Desk, now: datetime) -> list[Outgoing]:
    identity = (record.borrower_id, record.ce_source, record.ce_id)
    messages: list[tuple[Message, str]] = []
    for posted in posting.payments_posted:
        told = msgspec.structs.replace(posted, posted_at=now)
        messages.append((told, derive("payment-posted", *identity, posted.payment_id)))
    for unposted in posting.payments_unposted:
        messages.append((unposted, derive("payment-unposted", *identity, unposted.payment_id)))
    if posting.balance is not None:
        changed = posting.balance
        entry_id = derive("balance-changed", changed.borrower_id, changed.loan_id, changed.balance_version)
        messages.append((changed, entry_id))
    at = desk.readable_at(posting.as_of)
    return [Outgoing(message=message, ce_id=ce_id, ce_time=at, cause=record) for message, ce_id in messages]


def _count(posted: Posted, histories: int) -> None:
    metrics.HISTORIES_READ.inc(histories)
    kinds = Counter(transaction.kind for _, posting in posted for transaction in posting.transactions)
    causes = Counter(posting.balance.cause for _, posting in posted if posting.balance is not None)
    for metric, counts in ((metrics.TRANSACTIONS, kinds), (metrics.BALANCE_CHANGES, causes)):
        for label, count in counts.items():
            metric.labels(label).inc(count)


def _event(record: BookRecord) -> BookEvent:
    return BookEvent(
        at=record.ce_time,
        source=record.ce_source,
        event_id=record.ce_id,
        message=record.message,
    )


def _loan(message: BookMessage) -> LoanKey:
    return (message.borrower_id, message.loan_id)


def _payment(message: PaymentReceivedV1) -> PaymentKey:
    return (message.borrower_id, message.loan_id, message.payment_id)
