"""The account of one loan: its checkpoint, and how an event is posted onto it, in order or late.

An event in order is folded onto the checkpoint without reading history. A late one, a reversal and a payment id that
was seen before need the whole history: the fold is done again from the event's place on, the transactions that it
changes are taken back by corrections, and what is right now is posted. Nothing in the book is ever changed. Each event
is posted by itself, so that neither the transactions nor the versions depend on how events were batched.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias

from ledger.domain.amounts import to_amounts
from ledger.domain.book import BookedPayment, BookMessage, LoanBook, Step, apply
from ledger.domain.entries import EventId, Transaction, correction, transaction
from shared.contracts import (
    BalanceChangedV1,
    LoanClosedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    PaymentPostedV1,
    PaymentReceivedV1,
    PaymentReversedV1,
    PaymentUnpostedV1,
)
from shared.contracts.ledger_entries import BalanceCause

OrderKey: TypeAlias = tuple[datetime, str, str]
Flag = Literal["late", "doubled_payment", "other_currency", "unknown_loan", "overpaid"]
"""What a person may want to look at; kept with the event on the case timeline and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookEvent:
    """One loan event with what orders and identifies it."""

    at: datetime
    source: str
    event_id: str
    message: BookMessage

    @property
    def key(self) -> OrderKey:
        """The business order."""
        return (self.at, self.source, self.event_id)

    @property
    def identity(self) -> EventId:
        """What the event's transactions are booked under."""
        return (self.source, self.event_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Every event of a loan in order with the step it makes, and the transactions that stand for each."""

    events: tuple[BookEvent, ...]
    steps: tuple[Step, ...]
    standing: Mapping[EventId, tuple[Transaction, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanAccount:
    """What is kept of one loan between batches, and its history where that was read."""

    borrower_id: str
    loan_id: str
    book: LoanBook
    last_key: OrderKey | None = None
    balance_version: int = 0
    history: History | None = None

    @property
    def loan(self) -> tuple[str, str]:
        """The key of this loan."""
        return (self.borrower_id, self.loan_id)

    def is_late(self, event: BookEvent) -> bool:
        """Whether something that was booked already comes after `event`."""
        return self.last_key is not None and event.key < self.last_key

    def book_before(self, instant: datetime) -> LoanBook:
        """The book after every event before `instant`; the history is needed where something comes later."""
        if self.last_key is None or self.last_key[0] < instant:
            return self.book
        assert self.history is not None, "needs the history"
        place = bisect.bisect_left(self.history.events, instant, key=lambda event: event.at)
        return self.history.steps[place - 1].book if place else LoanBook(order=self.book.order)

    def with_history(self, events: Iterable[BookEvent], transactions: Iterable[Transaction]) -> LoanAccount:
        """This account with its whole history folded; `transactions` are all that were ever written for it."""
        ordered = tuple(sorted(events, key=lambda event: event.key))
        steps = _fold(LoanBook(order=self.book.order), ordered)
        book = steps[-1].book if steps else LoanBook(order=self.book.order)
        history = History(events=ordered, steps=steps, standing=_standing(transactions))
        return replace(self, book=book, history=history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """What one event did: transactions to write and messages to publish."""

    event: BookEvent
    as_of: datetime
    transactions: tuple[Transaction, ...]
    payments_posted: tuple[PaymentPostedV1, ...]
    payments_unposted: tuple[PaymentUnpostedV1, ...]
    balance: BalanceChangedV1 | None
    flags: tuple[Flag, ...]


@dataclass(slots=True)
class _Corrections:
    """The difference between what stands in the book and what a new fold says."""

    trigger: BookEvent
    written: list[Transaction] = field(default_factory=list)
    posted: list[tuple[BookEvent, str, BookedPayment]] = field(default_factory=list)
    unposted: list[tuple[BookEvent, str, BookedPayment]] = field(default_factory=list)
    standing: dict[EventId, tuple[Transaction, ...]] = field(default_factory=dict)


def post(account: LoanAccount, event: BookEvent) -> tuple[LoanAccount, Posting]:
    """Post `event` once; the account after it, and what has to be written and published.

    Without history the caller guarantees that the event is in order, no reversal, and of a payment id never seen.
    """
    late = account.is_late(event)
    history = account.history
    assert history is not None or not (late or isinstance(event.message, PaymentReversedV1)), "needs the history"
    before, suffix = account.book, [event]
    if history is None:
        steps = _fold(before, suffix)
    else:
        place = bisect.bisect([known.key for known in history.events], event.key)
        before = history.steps[place - 1].book if place else LoanBook(order=account.book.order)
        suffix = [event, *history.events[place:]]
        steps = _fold(before, suffix)
        history = replace(history, events=(*history.events[:place], *suffix), steps=(*history.steps[:place], *steps))
    corrections = _correct(account, suffix, steps, event, history.standing if history else {})
    if history is not None:
        history = replace(history, standing={**history.standing, **corrections.standing})
    book = steps[-1].book
    last_key = event.key if account.last_key is None else max(account.last_key, event.key)
    changed = book.currency is not None and (account.book.currency is None or book.balance != account.book.balance)
    after = LoanAccount(
        borrower_id=account.borrower_id,
        loan_id=account.loan_id,
        book=book,
        last_key=last_key,
        balance_version=account.balance_version + changed,
        history=history,
    )
    return after, Posting(
        event=event,
        as_of=last_key[0],
        transactions=tuple(corrections.written),
        payments_posted=tuple(
            _posted(after, *payment, counted=payment[0] is not event or _is_counted(suffix, steps))
            for payment in corrections.posted
        ),
        payments_unposted=tuple(_unposted(account, *payment) for payment in corrections.unposted),
        balance=_balance(after, "repost" if late else _cause(event.message)) if changed else None,
        flags=_flags(event, late, before, steps[0].book),
    )


def _fold(book: LoanBook, events: Sequence[BookEvent]) -> tuple[Step, ...]:
    steps = []
    for event in events:
        step = apply(book, event.message)
        steps.append(step)
        book = step.book
    return tuple(steps)


def _standing(transactions: Iterable[Transaction]) -> dict[EventId, tuple[Transaction, ...]]:
    written = list(transactions)
    taken_back = {transaction.reverses for transaction in written}
    standing: dict[EventId, tuple[Transaction, ...]] = {}
    for one in written:
        if one.reverses is None and one.transaction_id not in taken_back:
            standing[one.event_id] = (*standing.get(one.event_id, ()), one)
    return standing


def _correct(
    account: LoanAccount,
    suffix: Sequence[BookEvent],
    steps: Sequence[Step],
    trigger: BookEvent,
    standing: Mapping[EventId, tuple[Transaction, ...]],
) -> _Corrections:
    corrections = _Corrections(trigger=trigger)
    for event, step in zip(suffix, steps, strict=True):
        old = standing.get(event.identity, ())
        kept = [one for one in old if any(one.books(entry) for entry in step.entries)] if old else []
        fresh = [entry for entry in step.entries if not any(one.books(entry) for one in kept)] if kept else step.entries
        taken_back = [one for one in old if one not in kept] if old else []
        corrections.written.extend(correction(one, trigger=trigger.identity) for one in taken_back)
        new = [
            transaction(entry, loan=account.loan, at=event.at, event=event.identity, trigger=trigger.identity)
            for entry in fresh
        ]
        corrections.written.extend(new)
        corrections.standing[event.identity] = (*kept, *new)
        unposted_before = {one.payment_id for one in taken_back if one.kind == "payment_reversed"}
        for one in new:
            if one.payment_id is None or one.kind not in ("payment", "payment_reversed"):
                continue
            announced = (event, one.payment_id, step.book.payments[one.payment_id])
            if one.kind == "payment":
                corrections.posted.append(announced)
            elif one.payment_id not in unposted_before:
                corrections.unposted.append(announced)
    _repeat_doubled(corrections, steps[0])
    return corrections


def _repeat_doubled(corrections: _Corrections, step: Step) -> None:
    """A payment id that comes again is answered again with what is booked, so that nobody waits for its posting."""
    event, message = corrections.trigger, corrections.trigger.message
    if isinstance(message, PaymentReceivedV1) and not step.entries:
        booked = step.book.payments[message.payment_id]
        corrections.posted.append((event, message.payment_id, booked))
        if booked.reversed:
            corrections.unposted.append((event, message.payment_id, booked))


def _is_counted(suffix: Sequence[BookEvent], steps: Sequence[Step]) -> bool:
    """False where `suffix` begins with a payment on a loan that a later snapshot restates: it couldn't know of it.

    What waits in suspense, or was paid on a closed loan, asks nothing less of anybody. A payment that is posted again,
    because of another event or under a second id, isn't news.
    """
    message, step, book = suffix[0].message, steps[0], steps[-1].book
    if not isinstance(message, PaymentReceivedV1) or not step.entries or book.closed:
        return True
    booked = step.book.payments[message.payment_id]
    if booked.posted_to == "overpayment" or booked.currency != book.currency:
        return True
    return not any(isinstance(later.message, (LoanRegisteredV1, LoanOverdueV1)) for later in suffix[1:])


def _posted(
    account: LoanAccount, event: BookEvent, payment_id: str, booked: BookedPayment, *, counted: bool
) -> PaymentPostedV1:
    return PaymentPostedV1(
        borrower_id=account.borrower_id,
        loan_id=account.loan_id,
        payment_id=payment_id,
        currency=booked.currency,
        amount_minor=booked.amount_minor,
        allocated=to_amounts(booked.allocated),
        suspense_minor=booked.suspense_minor,
        posted_to=booked.posted_to,
        effective_at=event.at,
        counted=counted,
        balance_version=account.balance_version or None,
    )


def _unposted(account: LoanAccount, event: BookEvent, payment_id: str, booked: BookedPayment) -> PaymentUnpostedV1:
    return PaymentUnpostedV1(
        borrower_id=account.borrower_id,
        loan_id=account.loan_id,
        payment_id=payment_id,
        currency=booked.currency,
        amount_minor=booked.amount_minor,
        effective_at=event.at,
    )


def _balance(account: LoanAccount, cause: BalanceCause) -> BalanceChangedV1:
    book = account.book
    assert book.currency is not None, "only a known loan has a balance"
    assert account.last_key is not None, "only events change a balance"
    return BalanceChangedV1(
        borrower_id=account.borrower_id,
        loan_id=account.loan_id,
        currency=book.currency,
        balance_version=account.balance_version,
        overdue=to_amounts(book.overdue),
        outstanding=to_amounts(book.outstanding),
        oldest_unpaid_due_on=book.oldest_unpaid_due_on,
        next_due_on=book.next_due_on if any(book.next_due) else None,
        next_due=to_amounts(book.next_due),
        closed=book.closed,
        as_of=account.last_key[0],
        cause=cause,
    )


def _cause(message: BookMessage) -> BalanceCause:
    match message:
        case PaymentReceivedV1():
            return "payment"
        case PaymentReversedV1():
            return "reversal"
        case LoanClosedV1():
            return "closure"
        case LoanRegisteredV1() | LoanOverdueV1():
            return "snapshot"


def _flags(event: BookEvent, late: bool, before: LoanBook, after: LoanBook) -> tuple[Flag, ...]:
    flags: list[Flag] = []
    if late:
        flags.append("late")
    if isinstance(event.message, PaymentReceivedV1):
        booked = after.payments[event.message.payment_id]
        if event.message.payment_id in before.payments:
            flags.append("doubled_payment")
        elif booked.posted_to == "unknown_loan":
            flags.append("unknown_loan")
        elif booked.currency != before.currency:
            flags.append("other_currency")
        elif booked.suspense_minor:
            flags.append("overpaid")
    return tuple(flags)
