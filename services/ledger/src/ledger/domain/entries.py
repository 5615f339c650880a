"""Double entry: accounts, entries that balance, and the transactions that carry them into the book for good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

from shared.ids import derive

Account = Literal[
    "cash",
    "receivable:fees",
    "receivable:interest",
    "receivable:principal",
    "suspense:overpayment",
    "suspense:unknown_loan",
    "restatement",
]
ACCOUNTS: Final[tuple[Account, ...]] = get_args(Account)
RECEIVABLES: Final[tuple[Account, ...]] = ("receivable:fees", "receivable:interest", "receivable:principal")

EntryKind = Literal["opening", "restatement", "closure", "payment", "payment_reversed", "release"]
TransactionKind = Literal[EntryKind, "correction"]
"""`correction` takes back an earlier transaction that a late event changed; what replaces it has its own kind."""

Line: TypeAlias = tuple[Account, int]
"""An account and minor units: debit positive, credit negative."""
EventId: TypeAlias = tuple[str, str]
"""Source and id of the event that an entry books."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one event does to the accounts. Its lines sum to zero and are in the order of `ACCOUNTS`, one each."""

    kind: EntryKind
    payment_id: str | None
    currency: str
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        assert sum(amount for _, amount in self.lines) == 0, "an entry balances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """An entry in the book, for good: it is never changed, only taken back by a transaction that `reverses` it."""

    transaction_id: str
    kind: TransactionKind
    payment_id: str | None
    currency: str
    lines: tuple[Line, ...]
    at: datetime
    """Value time: that of the event it books."""
    event_id: EventId
    trigger_id: EventId
    """The event whose arrival made it be written: the booked event itself, or a late one."""
    reverses: str | None = None

    def books(self, entry: Entry) -> bool:
        """Whether this is `entry`, so that nothing has to be corrected."""
        return (self.kind, self.payment_id, self.currency, self.lines) == (
            entry.kind,
            entry.payment_id,
            entry.currency,
            entry.lines,
        )


def balanced(lines: Iterable[Line]) -> tuple[Line, ...]:
    """`lines` added up by account, without empty ones, in the order of `ACCOUNTS`; they must sum to zero."""
    sums: dict[Account, int] = {}
    for account, amount in lines:
        sums[account] = sums.get(account, 0) + amount
    kept = tuple((account, sums[account]) for account in ACCOUNTS if sums.get(account))
    assert sum(amount for _, amount in kept) == 0, "an entry balances"
    return kept


def transaction(entry: Entry, *, loan: tuple[str, str], at: datetime, event: EventId, trigger: EventId) -> Transaction:
    """`entry` as a transaction of `loan` (borrower, loan); its id says what it books and what made it be written."""
    return Transaction(
        transaction_id=derive("transaction", *loan, *event, entry.kind, entry.payment_id or "", *trigger),
        kind=entry.kind,
        payment_id=entry.payment_id,
        currency=entry.currency,
        lines=entry.lines,
        at=at,
        event_id=event,
        trigger_id=trigger,
    )


def correction(standing: Transaction, *, trigger: EventId) -> Transaction:
    """The transaction that takes `standing` back because of the late event `trigger`."""
    return Transaction(
        transaction_id=derive("correction", standing.transaction_id),
        kind="correction",
        payment_id=standing.payment_id,
        currency=standing.currency,
        lines=tuple((account, -amount) for account, amount in standing.lines),
        at=standing.at,
        event_id=standing.event_id,
        trigger_id=trigger,
        reverses=standing.transaction_id,
    )
