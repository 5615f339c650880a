"""The book of one loan: a fold over its events in business order. Each step says what it does to the accounts.

What the fold decides, and why:

* A snapshot of the lender speaks as of its own instant: money with an earlier value time is in it already. What it
  changes is posted against `restatement`, the first one as `opening`.
* A payment pays what is overdue, then the next instalment, then the rest of what is outstanding, each in the loan's
  allocation order; what then is left waits in `suspense:overpayment` for the lender's decision.
* Money in another currency than the loan's is kept in `suspense:overpayment` in its own currency.
* A payment on a loan that nobody knows yet waits in `suspense:unknown_loan`. The snapshot that makes the loan known
  already counts it, so it is released against `restatement`.
* A reversal takes back what the payment did. If it is dated before its payment, the payment is booked and taken back
  in one step. Nothing becomes overdue by the calendar alone: only the lender's snapshot says so.
* A closed loan stays closed: its receivables go to `restatement`, later money to `suspense:overpayment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TypeAlias, assert_never

from ledger.domain.amounts import NOTHING, AllocationOrder, Split, covering, from_amounts, lower, minus, plus, take
from ledger.domain.entries import RECEIVABLES, Entry, EntryKind, Line, balanced
from shared.contracts import LoanClosedV1, LoanOverdueV1, LoanRegisteredV1, PaymentReceivedV1, PaymentReversedV1
from shared.contracts.ledger_entries import PostedTo

BookMessage: TypeAlias = LoanRegisteredV1 | LoanOverdueV1 | LoanClosedV1 | PaymentReceivedV1 | PaymentReversedV1
Snapshot: TypeAlias = LoanRegisteredV1 | LoanOverdueV1


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedPayment:
    """What a payment did, so that its reversal can take exactly that back."""

    currency: str
    amount_minor: int
    lines: tuple[Line, ...]
    posted_to: PostedTo
    allocated: Split = NOTHING
    overdue_paid: Split = NOTHING
    next_due_paid: Split = NOTHING
    oldest_unpaid_due_on: date | None = None
    next_due_on: date | None = None
    reversed: bool = False

    @property
    def suspense_minor(self) -> int:
        """The part that is on no receivable."""
        return self.amount_minor - sum(self.allocated)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPayment:
    """Money on a loan that nobody knows yet."""

    payment_id: str
    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoanBook:
    """A loan after some of its events. `overdue` is never more than `outstanding`, by component.

    `payments` and `reversed_early` hold what was folded since the book was read; a reversal, or a payment that was
    seen before, needs a fold of the whole history (see `ledger.domain.account`).
    """

    order: AllocationOrder
    currency: str | None = None
    """None: no snapshot has made the loan known."""
    outstanding: Split = NOTHING
    overdue: Split = NOTHING
    next_due: Split = NOTHING
    oldest_unpaid_due_on: date | None = None
    next_due_on: date | None = None
    closed: bool = False
    waiting: tuple[WaitingPayment, ...] = ()
    payments: Mapping[str, BookedPayment] = field(default_factory=dict)
    reversed_early: frozenset[str] = frozenset()

    @property
    def balance(self) -> tuple[object, ...]:
        """What the outside sees of this loan; equal means that nothing has changed."""
        due_on = self.next_due_on if any(self.next_due) else None
        return (self.outstanding, self.overdue, self.next_due, self.oldest_unpaid_due_on, due_on, self.closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The book after one event, and the entries that the event makes."""

    book: LoanBook
    entries: tuple[Entry, ...] = ()


def apply(book: LoanBook, message: BookMessage) -> Step:
    """Fold one event into `book`. A doubled payment, or a snapshot of a closed loan, changes nothing."""
    match message:
        case LoanRegisteredV1() | LoanOverdueV1():
            return _restate(book, message)
        case PaymentReceivedV1():
            return _receive(book, message)
        case PaymentReversedV1():
            booked = book.payments.get(message.payment_id)
            if booked is None:
                return Step(book=replace(book, reversed_early=book.reversed_early | {message.payment_id}))
            return _take_back(book, message.payment_id, booked)
        case LoanClosedV1():
            return _close(book)
        case _:
            assert_never(message)


def _restate(book: LoanBook, snapshot: Snapshot) -> Step:
    assert book.currency in (None, snapshot.currency), "a snapshot in another currency is refused where it arrives"
    after = _stated(book, snapshot) if not book.closed else replace(book, currency=snapshot.currency)
    changes = minus(after.outstanding, book.outstanding)
    lines = balanced([*zip(RECEIVABLES, changes, strict=True), ("restatement", -sum(changes))])
    kind: EntryKind = "opening" if book.currency is None else "restatement"
    entries = [Entry(kind=kind, payment_id=None, currency=snapshot.currency, lines=lines)] if lines else []
    if book.waiting:
        after, released = _release(after)
        entries.extend(released)
    return Step(book=after, entries=tuple(entries))


def _stated(book: LoanBook, snapshot: Snapshot) -> LoanBook:
    outstanding = from_amounts(snapshot.outstanding)
    if isinstance(snapshot, LoanRegisteredV1):
        overdue = lower(book.overdue, outstanding)
        return replace(
            book,
            currency=snapshot.currency,
            outstanding=outstanding,
            overdue=overdue,
            oldest_unpaid_due_on=book.oldest_unpaid_due_on if any(overdue) else None,
            next_due=from_amounts(snapshot.next_due),
            next_due_on=snapshot.next_due_on,
        )
    overdue = from_amounts(snapshot.overdue)
    counted_back = snapshot.as_of - timedelta(days=snapshot.days_past_due)
    oldest = (snapshot.oldest_unpaid_due_on or counted_back) if any(overdue) else None
    passed = book.next_due_on is not None and (
        book.next_due_on < snapshot.as_of or (oldest is not None and book.next_due_on <= oldest)
    )
    return replace(
        book,
        currency=snapshot.currency,
        outstanding=covering(outstanding, overdue),
        overdue=overdue,
        oldest_unpaid_due_on=oldest,
        next_due=NOTHING if passed else book.next_due,
        next_due_on=None if passed else book.next_due_on,
    )


def _release(book: LoanBook) -> tuple[LoanBook, list[Entry]]:
    payments, entries = dict(book.payments), []
    for waiting in book.waiting:
        foreign = book.closed or waiting.currency != book.currency
        target: Line = ("suspense:overpayment" if foreign else "restatement", -waiting.amount_minor)
        lines = balanced([("suspense:unknown_loan", waiting.amount_minor), target])
        entries.append(Entry(kind="release", payment_id=waiting.payment_id, currency=waiting.currency, lines=lines))
        booked = payments.get(waiting.payment_id)
        if booked is not None:
            payments[waiting.payment_id] = replace(booked, lines=balanced([*booked.lines, *lines]))
    return replace(book, waiting=(), payments=payments), entries


def _receive(book: LoanBook, message: PaymentReceivedV1) -> Step:
    payment_id = message.payment_id
    if payment_id in book.payments:
        return Step(book=book)
    after, booked = _book_payment(book, message)
    after = replace(after, payments={**book.payments, payment_id: booked})
    entry = Entry(kind="payment", payment_id=payment_id, currency=message.currency, lines=booked.lines)
    if payment_id not in book.reversed_early:
        return Step(book=after, entries=(entry,))
    taken_back = _take_back(after, payment_id, booked)
    return Step(book=taken_back.book, entries=(entry, *taken_back.entries))


def _book_payment(book: LoanBook, message: PaymentReceivedV1) -> tuple[LoanBook, BookedPayment]:
    amount, cash = message.amount_minor, ("cash", message.amount_minor)
    if book.currency is None:
        waiting = WaitingPayment(payment_id=message.payment_id, currency=message.currency, amount_minor=amount)
        return replace(book, waiting=(*book.waiting, waiting)), BookedPayment(
            currency=message.currency,
            amount_minor=amount,
            lines=balanced([cash, ("suspense:unknown_loan", -amount)]),  # type: ignore[list-item]
            posted_to="unknown_loan",
        )
    if message.currency != book.currency:
        return book, BookedPayment(
            currency=message.currency,
            amount_minor=amount,
            lines=balanced([cash, ("suspense:overpayment", -amount)]),  # type: ignore[list-item]
            posted_to="overpayment",
        )
    return _allocate(book, message.currency, amount)


def _allocate(book: LoanBook, currency: str, amount: int) -> tuple[LoanBook, BookedPayment]:
    overdue_paid, left = take(book.overdue, amount, book.order)
    next_due_paid, left = take(book.next_due, left, book.order)
    # An instalment may hold interest that is not outstanding yet: that part pays what is.
    wanted = plus(overdue_paid, next_due_paid)
    allocated = lower(wanted, book.outstanding)
    left += sum(wanted) - sum(allocated)
    more, left = take(minus(book.outstanding, allocated), left, book.order)
    allocated = plus(allocated, more)
    overdue = minus(book.overdue, overdue_paid)
    lines: list[Line] = [("cash", amount), ("suspense:overpayment", -left)]
    lines.extend(zip(RECEIVABLES, minus(NOTHING, allocated), strict=True))
    booked = BookedPayment(
        currency=currency,
        amount_minor=amount,
        lines=balanced(lines),
        posted_to="loan" if any(allocated) else "overpayment",
        allocated=allocated,
        overdue_paid=overdue_paid,
        next_due_paid=next_due_paid,
        oldest_unpaid_due_on=book.oldest_unpaid_due_on,
        next_due_on=book.next_due_on,
    )
    after = replace(
        book,
        outstanding=minus(book.outstanding, allocated),
        overdue=overdue,
        oldest_unpaid_due_on=book.oldest_unpaid_due_on if any(overdue) else None,
        next_due=minus(book.next_due, next_due_paid),
    )
    return after, booked


def _take_back(book: LoanBook, payment_id: str, booked: BookedPayment) -> Step:
    if booked.reversed:
        return Step(book=book)
    lines = [(account, -amount) for account, amount in booked.lines]
    after = replace(
        book,
        payments={**book.payments, payment_id: replace(booked, reversed=True)},
        waiting=tuple(waiting for waiting in book.waiting if waiting.payment_id != payment_id),
    )
    if book.closed:
        lines = [("restatement" if account in RECEIVABLES else account, amount) for account, amount in lines]
    else:
        after = _owed_again(after, booked)
    entry = Entry(kind="payment_reversed", payment_id=payment_id, currency=booked.currency, lines=balanced(lines))
    return Step(book=after, entries=(entry,))


def _owed_again(book: LoanBook, booked: BookedPayment) -> LoanBook:
    overdue = plus(book.overdue, booked.overdue_paid)
    oldest = book.oldest_unpaid_due_on
    if any(booked.overdue_paid):
        oldest = min(day for day in (oldest, booked.oldest_unpaid_due_on) if day is not None)
    same_instalment = booked.next_due_on is not None and booked.next_due_on == book.next_due_on
    return replace(
        book,
        outstanding=plus(book.outstanding, booked.allocated),
        overdue=overdue,
        oldest_unpaid_due_on=oldest,
        next_due=plus(book.next_due, booked.next_due_paid) if same_instalment else book.next_due,
    )


def _close(book: LoanBook) -> Step:
    lines = balanced(
        [*zip(RECEIVABLES, minus(NOTHING, book.outstanding), strict=True), ("restatement", sum(book.outstanding))]
    )
    entries: tuple[Entry, ...] = ()
    if lines:
        assert book.currency is not None, "only a known loan has anything outstanding"
        entries = (Entry(kind="closure", payment_id=None, currency=book.currency, lines=lines),)
    after = replace(
        book,
        closed=True,
        outstanding=NOTHING,
        overdue=NOTHING,
        next_due=NOTHING,
        oldest_unpaid_due_on=None,
        next_due_on=None,
    )
    return Step(book=after, entries=entries)
