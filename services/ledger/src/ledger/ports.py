"""What the handlers and loops need of storage. Every method works inside the caller's transaction, set-based."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.domain.account import LoanAccount
from ledger.domain.amounts import AllocationOrder
from ledger.domain.entries import Transaction
from ledger.domain.promises import AmountDue, PaidAmount, Promise
from shared.contracts import ReplyReceivedV1

LoanKey = tuple[str, str]
"""Borrower and loan."""
PaymentKey = tuple[str, str, str]
"""Borrower, loan and payment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the ledger keeps of a borrower's profile, and the event that said it."""

    borrower_id: str
    zones: tuple[str, ...]
    order_key: tuple[datetime, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """One row of the case timeline; (borrower, at, source, event id) is its natural key."""

    borrower_id: str
    at: datetime
    source: str
    event_id: str
    kind: str
    detail: Any
    loan_id: str | None = None
    payment_id: str | None = None
    attempt_id: str | None = None
    flags: tuple[str, ...] = ()


class LedgerStore(Protocol):
    """The book, the promises and the case timeline."""

    async def lock_borrowers(self, tx: AsyncConnection, borrower_ids: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Lock the borrowers' rows in id order, made where missing, until the transaction ends; give their zones."""
        ...

    async def keep_profiles(self, tx: AsyncConnection, profiles: Sequence[Profile]) -> None:
        """Keep each profile unless a later one is there."""
        ...

    async def accounts(
        self, tx: AsyncConnection, loans: Iterable[LoanKey], order: AllocationOrder
    ) -> dict[LoanKey, LoanAccount]:
        """The loans' checkpoints; new loans begin with the allocation `order`."""
        ...

    async def accounts_of(self, tx: AsyncConnection, borrower_ids: Iterable[str]) -> dict[LoanKey, LoanAccount]:
        """The checkpoints of every loan of the borrowers."""
        ...

    async def seen_payments(self, tx: AsyncConnection, payments: Iterable[PaymentKey]) -> set[PaymentKey]:
        """Which of `payments` were received or reversed before."""
        ...

    async def with_histories(self, tx: AsyncConnection, accounts: Sequence[LoanAccount]) -> dict[LoanKey, LoanAccount]:
        """The accounts with every event and transaction that was ever booked on them."""
        ...

    async def keep_accounts(self, tx: AsyncConnection, accounts: Sequence[LoanAccount]) -> None:
        """Write the checkpoints."""
        ...

    async def add_transactions(self, tx: AsyncConnection, transactions: Sequence[tuple[LoanKey, Transaction]]) -> None:
        """Write transactions, which stay for good."""
        ...

    async def add_case_rows(self, tx: AsyncConnection, rows: Sequence[CaseRow]) -> None:
        """Add rows to the case timeline; one that is there stays as it is."""
        ...

    async def promises(self, tx: AsyncConnection, borrower_ids: Iterable[str]) -> dict[str, list[Promise]]:
        """Every promise of the borrowers that have any."""
        ...

    async def paid_amounts(self, tx: AsyncConnection, borrower_ids: Iterable[str]) -> dict[str, list[PaidAmount]]:
        """The payments of the borrowers that are not reversed, by value time."""
        ...

    async def keep_promises(self, tx: AsyncConnection, promises: Sequence[Promise]) -> None:
        """Write promises, new or changed; those that are no longer open first."""
        ...

    async def attempts_due(
        self, tx: AsyncConnection, attempts: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], AmountDue]:
        """What the attempts (borrower, attempt) asked for, where they are known."""
        ...

    async def add_promise_requests(self, tx: AsyncConnection, replies: Sequence[ReplyReceivedV1]) -> None:
        """Keep replies that wait for the attempt that they answer."""
        ...

    async def take_promise_requests(
        self, tx: AsyncConnection, *, waited_seconds_max: float, limit: int
    ) -> list[ReplyReceivedV1]:
        """Remove and return the replies whose attempt is known by now, or which waited too long."""
        ...

    async def borrowers_at_grace_end(self, tx: AsyncConnection, now: datetime, limit: int) -> list[str]:
        """Borrowers with an open promise whose grace has ended by `now`, earliest first; nothing is locked."""
        ...

    async def next_grace_end(self, tx: AsyncConnection) -> datetime | None:
        """The earliest end of grace of an open promise."""
        ...
