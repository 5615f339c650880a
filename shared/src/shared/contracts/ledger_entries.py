"""`ledger.entries.v1`: what the book says. The ledger is the one source of balances and of promises."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta

from shared.contracts.types import Amounts, CurrencyCode, Identifier, Instant, Message, MinorUnits, PositiveMinorUnits

BalanceCause = Literal["snapshot", "payment", "reversal", "closure", "repost"]
PostedTo = Literal["loan", "overpayment", "unknown_loan"]


class PaymentPostedV1(Message, frozen=True, kw_only=True):
    """A payment is in the book: what of it went where, in minor units; the parts sum to the amount.

    `balance_version` is the loan's after the posting; None while the loan isn't known.
    """

    loan_id: Identifier
    payment_id: Identifier
    currency: CurrencyCode
    amount_minor: PositiveMinorUnits
    allocated: Amounts
    suspense_minor: MinorUnits
    posted_to: PostedTo
    effective_at: Instant
    counted: bool = True
    """False: its value time is before the newest snapshot of the loan, so the present balance does not show it."""
    posted_at: Instant | None = None
    """The ledger's business clock when it was booked."""
    balance_version: Annotated[int, Meta(ge=1)] | None = None


class PaymentUnpostedV1(Message, frozen=True, kw_only=True):
    """A payment was reversed in the book."""

    loan_id: Identifier
    payment_id: Identifier
    currency: CurrencyCode
    amount_minor: PositiveMinorUnits
    effective_at: Instant


class BalanceChangedV1(Message, frozen=True, kw_only=True):
    """A loan's balance after a change. `balance_version` rises by one with each change of this loan."""

    loan_id: Identifier
    currency: CurrencyCode
    balance_version: Annotated[int, Meta(ge=1)]
    overdue: Amounts
    outstanding: Amounts
    oldest_unpaid_due_on: date | None
    next_due_on: date | None
    next_due: Amounts
    closed: bool
    as_of: Instant
    cause: BalanceCause


class PromiseState(Message, frozen=True, kw_only=True):
    """What every event about a promise to pay carries."""

    promise_id: Identifier
    loans: tuple[Identifier, ...]
    currency: CurrencyCode
    promised_minor: MinorUnits
    promised_on: date
    grace_ends_at: Instant
    paid_minor: MinorUnits
    at: Instant
    promised_at: Instant | None = None
    """When it was made: of two promises the one made later holds, whatever of the other becomes known after that."""


class PromiseOpenedV1(PromiseState, frozen=True, kw_only=True):
    """The borrower promised; contacts pause until `grace_ends_at`."""


class PromiseKeptV1(PromiseState, frozen=True, kw_only=True):
    """The promised amount arrived in time."""


class PromisePartlyKeptV1(PromiseState, frozen=True, kw_only=True):
    """Some, not all, of the promised amount arrived by the end of the grace days."""


class PromiseBrokenV1(PromiseState, frozen=True, kw_only=True):
    """Nothing arrived by the end of the grace days."""


class PromiseVoidedV1(PromiseState, frozen=True, kw_only=True):
    """What was booked late says that nothing was due when the borrower promised: there is nothing to keep."""
