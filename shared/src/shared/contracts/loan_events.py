"""`lender.loan-events.v1`: what a lender's core systems tell us. `ce_time` is the business instant of each."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta

from shared.contracts.types import (
    OF_THE_PERSON,
    Amounts,
    Channel,
    ContactResult,
    CurrencyCode,
    Identifier,
    Instant,
    Language,
    LocalTime,
    Message,
    Part,
    Party,
    PositiveMinorUnits,
    Region,
    RestrictionKind,
    ShortText,
    Weekday,
    ZoneName,
)

ContactPointKind = Literal["mobile", "landline", "email"]
ContactPointHolder = Literal["borrower", "workplace", "third_party"]
ConsentKind = Literal["call_back", "outside_hours", "channel", "opt_out", "inconvenient"]
ClosureReason = Literal["paid", "written_off", "sold", "refinanced", "cancelled"]
ExternalResult = ContactResult


class LoanRegisteredV1(Message, frozen=True, kw_only=True):
    """A loan, or a new statement of it: what is outstanding and what falls due next. May be repeated."""

    loan_id: Identifier
    currency: CurrencyCode
    opened_on: date
    outstanding: Amounts
    next_due_on: date | None = None
    next_due: Amounts = Amounts()
    product: Annotated[str, Meta(max_length=64)] = "consumer-loan"


class LoanOverdueV1(Message, frozen=True, kw_only=True):
    """The lender's snapshot of a loan that is behind, or no longer (`days_past_due` 0 and nothing overdue)."""

    loan_id: Identifier
    currency: CurrencyCode
    as_of: date
    days_past_due: Annotated[int, Meta(ge=0, le=20_000)]
    oldest_unpaid_due_on: date | None
    overdue: Amounts
    outstanding: Amounts


class LoanClosedV1(Message, frozen=True, kw_only=True):
    """The loan ended; nothing may be asked of the borrower for it any more."""

    loan_id: Identifier
    reason: ClosureReason


class PaymentReceivedV1(Message, frozen=True, kw_only=True):
    """Money that arrived. `ce_time` is its value time: an earlier one than what is booked re-posts what it changes."""

    loan_id: Identifier
    payment_id: Identifier
    currency: CurrencyCode
    amount_minor: PositiveMinorUnits


class PaymentReversedV1(Message, frozen=True, kw_only=True):
    """The payment `payment_id` did not hold (returned debit, charge-back)."""

    loan_id: Identifier
    payment_id: Identifier
    reason: ShortText = ""


class ContactPoint(Part, frozen=True, kw_only=True):
    """One number or address. `value` is E.164 for phones: personal data that travels in no other message."""

    contact_point_id: Identifier
    kind: ContactPointKind
    value: Annotated[str, Meta(min_length=3, max_length=254)]
    holder: ContactPointHolder = "borrower"
    active: bool = True


class BorrowerUpdatedV1(Message, frozen=True, kw_only=True):
    """The whole profile of a borrower as the lender knows it now: it replaces the one before."""

    name: Annotated[str, Meta(max_length=200)]
    language: Language
    region: Region
    zones: Annotated[tuple[ZoneName, ...], Meta(max_length=8)]
    contact_points: Annotated[tuple[ContactPoint, ...], Meta(max_length=16)]


class ConsentChangedV1(Message, frozen=True, kw_only=True):
    """A consent or a wish of the borrower, given directly to the one who collects; `in_force` False withdraws it.

    `opt_out` (channel, or channel and contact point) and `inconvenient` (days, start, end, place) are wishes.
    """

    consent_id: Identifier
    kind: ConsentKind
    in_force: bool
    effective_from: Instant
    effective_until: Instant | None = None
    channel: Channel | None = None
    contact_point_id: Identifier | None = None
    loans: tuple[Identifier, ...] | None = None
    days: tuple[Weekday, ...] | None = None
    start: LocalTime | None = None
    end: LocalTime | None = None
    place: Literal["home", "work"] | None = None


class RestrictionChangedV1(Message, frozen=True, kw_only=True):
    """A legal or human reason not to contact; `loans` absent means all of the borrower's."""

    restriction_id: Identifier
    kind: RestrictionKind
    active: bool
    effective_from: Instant
    effective_until: Instant | None = None
    loans: tuple[Identifier, ...] | None = None

    @property
    def restricted_loans(self) -> tuple[Identifier, ...] | None:
        """The loans that it covers, None for all: a death, whatever loans are named with it, is no matter of a loan."""
        return None if self.kind in OF_THE_PERSON else self.loans


class ExternalContactMadeV1(Message, frozen=True, kw_only=True):
    """A contact by the lender's own agents or by an agency: it counts towards the same caps."""

    contact_id: Identifier
    channel: Channel
    direction: Literal["outbound", "inbound"]
    result: ExternalResult
    made_at: Instant
    made_by: Identifier
    loans: tuple[Identifier, ...]
    discussed: tuple[Identifier, ...] | None = None
    contact_point_id: Identifier | None = None
    party: Party = "borrower"
