"""Promises to pay: how one is opened from a reply, and what became of it, from the payments alone.

The state of every promise of a borrower is computed from all of them and all payments by value time, so that it is the
same in whatever order replies, payments and reversals arrive. There is one open promise per borrower and currency: a
newer one replaces it. A payment on any loan of the borrower in the promise's currency counts.

A reply that names no amount promises what the contact that it answers asked for; one that answers none promises what
was due by the book at its own instant, and is priced again when something earlier is booked late.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from ledger.domain.book import LoanBook
from shared.contracts import (
    PromiseBrokenV1,
    PromiseKeptV1,
    PromiseOpenedV1,
    PromisePartlyKeptV1,
    PromiseState,
    PromiseVoidedV1,
    ReplyReceivedV1,
)
from shared.ids import derive

PromiseStanding = Literal["open", "kept", "partly_kept", "broken", "replaced", "voided"]
"""`voided`: nothing was due when it was made, so there is nothing to keep."""
LATEST_OFFSET = timedelta(hours=-12)
"""Where the borrower's zone isn't known a day ends where it ends last on earth: nobody is called broken too early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseTerms:
    """How promises are read; the bounds keep a mistyped date from pausing contacts for a year."""

    grace_days: int
    default_days: int
    ahead_days_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountDue:
    """What a reply without an amount promises: what the contact that it answers asked for, or what the book says."""

    currency: str
    amount_minor: int
    loans: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One promise and what became of it. `settled_at` is the business instant of its present state.

    What the reply said itself is in `said_…`; the rest of its price comes from the contact that it answers, or, where
    `from_book`, from the book. `state` is None until it is worked out for the present price.

    `said_at` is the instant that the message about it carries: it rises with each change of state, also where what
    became known late says that the change was earlier, so that readers who keep the latest keep the right one.
    """

    promise_id: str
    borrower_id: str
    reply_id: str
    said_currency: str | None
    said_minor: int | None
    said_loans: tuple[str, ...]
    promised_on: date
    promised_at: datetime
    grace_ends_at: datetime
    currency: str | None = None
    loans: tuple[str, ...] = ()
    promised_minor: int = 0
    from_book: bool = False
    state: PromiseStanding | None = None
    paid_minor: int = 0
    settled_at: datetime | None = None
    said_at: datetime | None = None
    changes: int = 0

    @property
    def is_void(self) -> bool:
        """Whether there is nothing to keep: no amount was said, and none was due."""
        return not self.promised_minor or self.currency is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidAmount:
    """A payment that stands in the book (not reversed), by value time."""

    at: datetime
    currency: str
    amount_minor: int


def amount_due(books: Iterable[tuple[str, LoanBook]], currency: str | None = None) -> AmountDue | None:
    """What the `books` (loan id and book) ask for: what is overdue, else due next; None where no loan is known.

    Of several currencies the one with the larger sum counts, unless `currency` says which.
    """
    by_currency: dict[str, list[tuple[str, LoanBook]]] = defaultdict(list)
    for loan_id, book in books:
        if book.currency is not None and currency in (None, book.currency):
            by_currency[book.currency].append((loan_id, book))
    sums = [
        (sum(sum(book.overdue) for _, book in some), sum(sum(book.next_due) for _, book in some), name)
        for name, some in by_currency.items()
    ]
    if not sums:
        return None
    overdue, next_due, chosen = min(sums, key=lambda each: (-each[0], -each[1], each[2]))
    loans = tuple(sorted(loan_id for loan_id, book in by_currency[chosen] if not book.closed))
    return AmountDue(currency=chosen, amount_minor=overdue or next_due, loans=loans)


def open_promise(reply: ReplyReceivedV1, zones: Sequence[str], terms: PromiseTerms) -> Promise:
    """The promise that `reply` makes, with the price that it says itself (see `priced`).

    The date is the one said, else `default_days` on; never before the day of the reply in the borrower's zone, never
    more than `ahead_days_max` after it.
    """
    today = reply.received_at.astimezone(ZoneInfo(zones[0]) if zones else UTC).date()
    wanted = reply.promised_on or today + timedelta(days=terms.default_days)
    promised_on = min(max(wanted, today), today + timedelta(days=terms.ahead_days_max))
    opened = Promise(
        promise_id=derive("promise", reply.borrower_id, reply.reply_id),
        borrower_id=reply.borrower_id,
        reply_id=reply.reply_id,
        said_currency=reply.currency,
        said_minor=reply.promised_minor or None,
        said_loans=reply.loans,
        promised_on=promised_on,
        promised_at=reply.received_at.astimezone(UTC),
        grace_ends_at=grace_end(promised_on, terms.grace_days, zones),
    )
    return priced(opened, None, from_book=False)


def says_its_price(reply: ReplyReceivedV1) -> bool:
    """Whether `reply` needs neither a contact nor the book for what it promises."""
    return bool(reply.promised_minor and reply.currency)


def priced(promise: Promise, due: AmountDue | None, *, from_book: bool) -> Promise:
    """`promise` with what its reply left open taken from `due`; where that is news, its state is to be worked out."""
    currency = promise.said_currency or (due.currency if due else None)
    after = replace(
        promise,
        currency=currency,
        promised_minor=promise.said_minor or (due.amount_minor if due and due.currency == currency else 0),
        loans=promise.said_loans or (due.loans if due else ()),
        from_book=from_book,
    )
    return promise if after == promise else replace(after, state=None)


def grace_end(promised_on: date, grace_days: int, zones: Sequence[str]) -> datetime:
    """The end of the last grace day where it ends last of the borrower's `zones`."""
    midnight = datetime.combine(promised_on + timedelta(days=grace_days + 1), time())
    if not zones:
        return (midnight - LATEST_OFFSET).replace(tzinfo=UTC)
    return max(midnight.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for zone in zones)


def settle(promises: Sequence[Promise], payments: Sequence[PaidAmount], now: datetime) -> list[Promise]:
    """All promises of one borrower with the state they have at `now`; only those that differ from what they were."""
    changed = []
    for void in (promise for promise in promises if promise.is_void):
        settled = replace(void, state="voided", paid_minor=0, settled_at=void.promised_at)
        if settled != void:
            changed.append(_said(settled, void))
    real = [promise for promise in promises if not promise.is_void]
    for currency in sorted({promise.currency for promise in real if promise.currency}):
        ordered = sorted((p for p in real if p.currency == currency), key=lambda p: (p.promised_at, p.reply_id))
        paid = sorted((p for p in payments if p.currency == currency), key=lambda p: (p.at, p.amount_minor))
        for promise, newer in zip(ordered, [*ordered[1:], None], strict=True):
            settled = _settled(promise, newer, paid, now)
            if settled != promise:
                changed.append(_said(settled, promise))
    return changed


def _said(settled: Promise, before: Promise) -> Promise:
    assert settled.settled_at is not None, "a settled promise has an instant"
    if before.said_at is None:
        return replace(settled, said_at=settled.settled_at)
    if settled.state == before.state:
        return settled
    said_at = max(settled.settled_at, before.said_at + timedelta(microseconds=1))
    return replace(settled, said_at=said_at, changes=before.changes + 1)


def _settled(promise: Promise, newer: Promise | None, paid: Sequence[PaidAmount], now: datetime) -> Promise:
    replaced_at = newer.promised_at if newer is not None and newer.promised_at <= promise.grace_ends_at else None
    if newer is not None:
        # Clocks differ: what was said at an instant is proof that the instant has come.
        now = max(now, newer.promised_at)
    total = 0
    for payment in paid:
        in_time = promise.promised_at <= payment.at <= promise.grace_ends_at
        if not in_time or (replaced_at is not None and payment.at >= replaced_at):
            continue
        total += payment.amount_minor
        if total >= promise.promised_minor:
            return replace(promise, state="kept", paid_minor=total, settled_at=payment.at)
    if replaced_at is not None:
        return replace(promise, state="replaced", paid_minor=total, settled_at=replaced_at)
    if now < promise.grace_ends_at:
        return replace(promise, state="open", paid_minor=total, settled_at=promise.promised_at)
    state: PromiseStanding = "partly_kept" if total else "broken"
    return replace(promise, state=state, paid_minor=total, settled_at=promise.grace_ends_at)


_MESSAGES: dict[PromiseStanding, type[PromiseState]] = {
    "open": PromiseOpenedV1,
    "kept": PromiseKeptV1,
    "partly_kept": PromisePartlyKeptV1,
    "broken": PromiseBrokenV1,
    "voided": PromiseVoidedV1,
}


def announcement(promise: Promise) -> PromiseState | None:
    """The message that says the state of `promise`.

    None for one that a newer promise replaced, which says it, and for one that never was anything but void.
    """
    assert promise.state is not None, "only a settled promise is announced"
    message_type = _MESSAGES.get(promise.state)
    if message_type is None or (promise.state == "voided" and not promise.changes):
        return None
    assert promise.currency is not None, "a loan that was known once stays known"
    return message_type(
        borrower_id=promise.borrower_id,
        promise_id=promise.promise_id,
        loans=promise.loans,
        currency=promise.currency,
        promised_minor=promise.promised_minor,
        promised_on=promise.promised_on,
        grace_ends_at=promise.grace_ends_at,
        paid_minor=promise.paid_minor,
        at=promise.said_at or promise.promised_at,
        promised_at=promise.promised_at,
    )


def announcement_id(promise: Promise) -> str:
    """The id of the message about the present state: it differs when a state is entered again."""
    assert promise.state is not None, "only a settled promise is announced"
    return derive("promise-state", promise.borrower_id, promise.promise_id, promise.state, promise.changes)
