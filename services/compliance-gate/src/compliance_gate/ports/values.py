"""The values that pass through the ports. None of them holds a number, a name or a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from compliance_gate.domain.facts import (
    Consent,
    Facts,
    InboundMessage,
    Inconvenience,
    LoanFacts,
    OptOut,
    PastContact,
    Restriction,
    Stop,
    UnpostedPayment,
)
from shared.contracts import Decision, PermitRevokedV1

Tx = AsyncConnection
OrderKey = tuple[datetime, str, str]
"""Time, source and id of an event: what last-writer-wins state is ordered by."""
PaymentKey = tuple[str, str, str]
"""A payment: borrower, loan and payment id. The lender may give one id to payments on several loans."""
Values = Mapping[str, Any]


class ContactPointFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a number or address: its keyed hash and the zones that it points to."""

    contact_point_id: str
    kind: str
    holder: str
    number_key: str
    zones: tuple[str, ...] = ()
    active: bool = True


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A borrower as the lender knows them. `zones` are all candidate zones, sorted: told, or shown by a number."""

    region: str
    zones: tuple[str, ...]
    points: tuple[ContactPointFacts, ...] = ()

    def point(self, contact_point_id: str) -> ContactPointFacts | None:
        """The active contact point of that id."""
        for point in self.points:
            if point.contact_point_id == contact_point_id and point.active:
                return point
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedBorrower:
    """A borrower's own row, locked: the last sequence number given, and the profile with its order key."""

    sequence: int
    profile: Profile | None
    order_key: OrderKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPermit:
    """A permit that has no end and no revocation yet."""

    borrower_id: str
    attempt_id: str
    submission_number: int
    decision_id: str
    borrower_sequence: int
    channel: str
    contact_point_id: str
    number_key: str
    loans: tuple[str, ...]
    balance_versions: Mapping[str, int]
    strategy: str
    provider: str | None
    expires_at: datetime
    cause: tuple[str, str]
    """Source and id of the record that it answered."""


class LoadedFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One borrower's facts but the profile, in the shapes that `domain.facts.Facts` takes."""

    restrictions: tuple[Restriction, ...] = ()
    consents: tuple[Consent, ...] = ()
    opt_outs: tuple[OptOut, ...] = ()
    inconveniences: tuple[Inconvenience, ...] = ()
    history: tuple[PastContact, ...] = ()
    loans: tuple[LoanFacts, ...] = ()
    unposted_payments: tuple[UnpostedPayment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFacts:
    """What is kept under a number's hash: contacts, newest first, and what its holders refused."""

    contacts: Sequence[tuple[str, PastContact]] = ()
    """With the borrower whom each was for."""
    suppressions: Sequence[tuple[str, OptOut]] = ()


SubmissionKey = tuple[str, str, int]
"""Borrower, attempt, submission number."""
AttemptKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorPermit:
    """The heaviest end of an attempt's earlier permits. `end_rank` 0 is open, 1 not made, 2 unknown, 3 made."""

    end_rank: int
    end_reason: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """A decision that was made before, and the revocation of its permit if there was one."""

    message: Decision
    revocation: PermitRevokedV1 | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPermit:
    """A permit to be written, and the slot that it reserves. `cause`: source and id of the record that it answers."""

    expires_at: datetime
    channel: str
    contact_point_id: str
    number_key: str
    party: str
    purpose: str
    reply_to: str | None
    balance_versions: Mapping[str, int]
    strategy: str
    provider: str | None
    cause: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecision:
    """A decision to be written, with its message and its evidence as bytes."""

    borrower_id: str
    attempt_id: str
    submission_number: int
    decision_id: str
    borrower_sequence: int
    verdict: str
    deciding_rule: str | None
    message: bytes
    evidence: bytes
    evidence_sha256: str
    permit: NewPermit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReview:
    """A person's approval of a held decision, and the rules that had asked for it."""

    decision_id: str
    attempt_id: str
    reviewed_by: str
    reason: str
    rule_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRow:
    """One row of state that the last writer wins: its key, its values, and what orders it."""

    key: tuple[str, str]
    order_key: OrderKey
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRows:
    """Everything that one batch of facts says, by the way in which it converges.

    Last writer wins: profiles, restrictions, consents, external contacts, reviews, stops. Marks that only rise:
    contacts, payments, closures, permit ends. Balances: the highest version.
    """

    profiles: list[FactRow] = field(default_factory=list)
    restrictions: list[FactRow] = field(default_factory=list)
    consents: list[FactRow] = field(default_factory=list)
    external_contacts: list[FactRow] = field(default_factory=list)
    reviews: list[FactRow] = field(default_factory=list)
    stops: list[FactRow] = field(default_factory=list)
    contacts: list[Values] = field(default_factory=list)
    payments: list[Values] = field(default_factory=list)
    balances: list[Values] = field(default_factory=list)
    closures: list[tuple[str, str]] = field(default_factory=list)
    permit_ends: list[Values] = field(default_factory=list)
    number_holders: list[Values] = field(default_factory=list)


FactKind = Literal["profile", "restriction", "consent", "external_contact", "review", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a batch of facts changed."""

    won: frozenset[tuple[FactKind, tuple[str, str], OrderKey]]
    """The last-writer-wins rows that are the state now."""
    unposted_payments: frozenset[PaymentKey]
    """Of the payments written: those that still wait to be booked."""
    suppressed: Sequence[tuple[str, str, str]]
    """Number key, channel and id of suppressions that came into force or changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitCounts:
    """Permits without an end, and those whose end is overdue."""

    open: int
    overdue: int


EMPTY_FACTS = LoadedFacts()
NO_NUMBER_FACTS = NumberFacts()


def facts_of(
    borrower_id: str,
    *,
    profile: Profile | None,
    loaded: LoadedFacts,
    stops: tuple[Stop, ...],
    lag_seconds: int,
) -> Facts:
    """The domain's facts of a borrower, without what is kept under the attempt's number."""
    inbound = tuple(
        InboundMessage(
            message_id=row.contact_id, at=row.at, channel=row.channel, number_key=row.number_key, party=row.party
        )
        for row in loaded.history
        if row.direction == "inbound"
    )
    return Facts(
        borrower_id=borrower_id,
        lag_seconds=lag_seconds,
        known=profile is not None,
        region=profile.region if profile is not None else None,
        zones=profile.zones if profile is not None else (),
        restrictions=loaded.restrictions,
        consents=loaded.consents,
        opt_outs=loaded.opt_outs,
        inconveniences=loaded.inconveniences,
        history=loaded.history,
        inbound=inbound,
        loans=loaded.loans,
        unposted_payments=loaded.unposted_payments,
        stops=stops,
    )
