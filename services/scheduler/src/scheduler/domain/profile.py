"""What the scheduler knows of a borrower. Every fact is a register that the latest event wins, so order doesn't matter.

Amounts come from the ledger alone (`BalanceChangedV1`, by `balance_version`); everything else is ordered by its
event's `(ce_time, ce_source, ce_id)`. No number, name or text is kept, only the ids of contact points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final, Literal, NamedTuple

from shared.contracts.ledger_entries import (
    BalanceChangedV1,
    PromiseBrokenV1,
    PromiseKeptV1,
    PromiseOpenedV1,
    PromisePartlyKeptV1,
    PromiseState,
    PromiseVoidedV1,
)
from shared.contracts.loan_events import (
    BorrowerUpdatedV1,
    ConsentChangedV1,
    ContactPointHolder,
    ContactPointKind,
    RestrictionChangedV1,
)
from shared.contracts.replies import ReplyReceivedV1
from shared.contracts.types import Channel, Language

CircumstanceKind = Literal["restriction", "opt_out", "promise", "reply"]
Order = tuple[datetime, str]
"""What decides between two events about the same thing: the instant, then a tie that is the same everywhere."""
Fact = BorrowerUpdatedV1 | ConsentChangedV1 | RestrictionChangedV1 | BalanceChangedV1 | PromiseState | ReplyReceivedV1

_PROMISE_RANK: Final[Mapping[type[PromiseState], tuple[str, str]]] = {
    PromiseOpenedV1: ("0", "opened"),
    PromiseBrokenV1: ("1", "broken"),
    PromisePartlyKeptV1: ("2", "partly_kept"),
    PromiseVoidedV1: ("4", "voided"),
    PromiseKeptV1: ("3", "kept"),
}
"""At the same instant an end wins over the opening, and the better end over the worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactPlace:
    """A contact point without its number."""

    contact_point_id: str
    kind: ContactPointKind
    holder: ContactPointHolder
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Language, residence, time zones and contact points as the lender last told them."""

    order: Order
    language: Language
    region: str
    zones: tuple[str, ...]
    contact_places: tuple[ContactPlace, ...]


class Loan(NamedTuple):
    """One loan as the ledger has it. Amounts are in minor units of `currency`.

    A named tuple for the same reason as `Attempt`, with its fields in the order of the table's columns.
    """

    loan_id: str
    currency: str
    balance_version: int
    overdue_minor: int
    outstanding_minor: int
    oldest_unpaid_due_on: date | None
    next_due_on: date | None
    next_due_minor: int
    closed: bool
    as_of: datetime

    @property
    def overdue_since(self) -> date:
        """The oldest unpaid due date; the snapshot's own date where the lender named none."""
        return self.oldest_unpaid_due_on or self.as_of.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstance:
    """A reason to stop or pause: a restriction, an opt-out, a promise or a reply. `loans` None means all of them."""

    kind: CircumstanceKind
    circumstance_id: str
    order: Order
    active: bool
    detail: str
    """The restriction's kind, the promise's state, the reply's intent."""
    channel: Channel | None = None
    contact_point_id: str | None = None
    loans: tuple[str, ...] | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        """Whether it holds at `now`."""
        return (
            self.active
            and (self.starts_at is None or self.starts_at <= now)
            and (self.ends_at is None or now < self.ends_at)
        )

    def covers(self, loan_ids: frozenset[str]) -> bool:
        """Whether it speaks of any of `loan_ids`."""
        return self.loans is None or not loan_ids.isdisjoint(self.loans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Everything that a plan is made from, of one borrower."""

    borrower_id: str
    person: Person | None = None
    loans: Mapping[str, Loan] = field(default_factory=dict)
    circumstances: Mapping[tuple[CircumstanceKind, str], Circumstance] = field(default_factory=dict)


def with_fact(profile: Profile, fact: Fact, order: Order) -> Profile:
    """`profile` after `fact`; the same object where something newer is known already."""
    match fact:
        case BalanceChangedV1():
            return _with_balance(profile, fact)
        case BorrowerUpdatedV1():
            return _with_person(profile, fact, order)
        case ConsentChangedV1():
            return profile if fact.kind != "opt_out" else _with_circumstance(profile, _opt_out(fact, order))
        case RestrictionChangedV1():
            return _with_circumstance(profile, _restriction(fact, order))
        case ReplyReceivedV1():
            return _with_circumstance(profile, _reply(fact, order))
        case PromiseState():
            return _with_circumstance(profile, _promise(fact, order))


def _with_balance(profile: Profile, fact: BalanceChangedV1) -> Profile:
    known = profile.loans.get(fact.loan_id)
    if known is not None and known.balance_version >= fact.balance_version:
        return profile
    loan = Loan(
        loan_id=fact.loan_id,
        currency=fact.currency,
        balance_version=fact.balance_version,
        overdue_minor=fact.overdue.total_minor,
        outstanding_minor=fact.outstanding.total_minor,
        oldest_unpaid_due_on=fact.oldest_unpaid_due_on,
        next_due_on=fact.next_due_on,
        next_due_minor=fact.next_due.total_minor,
        closed=fact.closed,
        as_of=fact.as_of,
    )
    return replace(profile, loans={**profile.loans, loan.loan_id: loan})


def _with_person(profile: Profile, fact: BorrowerUpdatedV1, order: Order) -> Profile:
    if profile.person is not None and profile.person.order >= order:
        return profile
    places = tuple(
        ContactPlace(contact_point_id=p.contact_point_id, kind=p.kind, holder=p.holder, active=p.active)
        for p in fact.contact_points
    )
    person = Person(order=order, language=fact.language, region=fact.region, zones=fact.zones, contact_places=places)
    return replace(profile, person=person)


def _with_circumstance(profile: Profile, circumstance: Circumstance) -> Profile:
    key = (circumstance.kind, circumstance.circumstance_id)
    known = profile.circumstances.get(key)
    if known is not None and known.order >= circumstance.order:
        return profile
    return replace(profile, circumstances={**profile.circumstances, key: circumstance})


def _opt_out(fact: ConsentChangedV1, order: Order) -> Circumstance:
    return Circumstance(
        kind="opt_out",
        circumstance_id=fact.consent_id,
        order=order,
        active=fact.in_force,
        detail="opt_out",
        channel=fact.channel,
        contact_point_id=fact.contact_point_id,
        loans=fact.loans,
        starts_at=fact.effective_from,
        ends_at=fact.effective_until,
    )


def _restriction(fact: RestrictionChangedV1, order: Order) -> Circumstance:
    return Circumstance(
        kind="restriction",
        circumstance_id=fact.restriction_id,
        order=order,
        active=fact.active,
        detail=fact.kind,
        loans=fact.restricted_loans,
        starts_at=fact.effective_from,
        ends_at=fact.effective_until,
    )


def _reply(fact: ReplyReceivedV1, order: Order) -> Circumstance:
    return Circumstance(
        kind="reply",
        circumstance_id=fact.reply_id,
        order=(fact.received_at, order[1]),
        active=True,
        detail=fact.intent,
        channel=fact.channel,
        contact_point_id=fact.contact_point_id,
        loans=fact.loans or None,
    )


def _promise(fact: PromiseState, order: Order) -> Circumstance:
    rank, state = _PROMISE_RANK[type(fact)]
    return Circumstance(
        kind="promise",
        circumstance_id=fact.promise_id,
        order=(fact.at, f"{rank}\x1f{order[1]}"),
        active=state == "opened",
        detail=state,
        loans=fact.loans or None,
        starts_at=fact.promised_at or fact.at,
        ends_at=fact.grace_ends_at,
    )
