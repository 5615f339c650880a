"""What handlers and loops need from the outside. Every `tx` is the caller's transaction; nothing here commits it.

The values that pass through come first. None of them holds a number, a name or a text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from compliance_gate.domain.facts import Attempt, Facts, Stop
from compliance_gate.domain.kept_facts import LoadedFacts, NumberFacts, Profile
from compliance_gate.domain.policy import Policy
from compliance_gate.domain.verdicts import Decision as DomainDecision
from shared.contracts import Decision, PermitRevokedV1
from shared.kafka.records import Outgoing

Tx = AsyncConnection
OrderKey = tuple[datetime, str, str]
"""Time, source and id of an event: what last-writer-wins state is ordered by."""
PaymentKey = tuple[str, str, str]
"""A payment: borrower, loan and payment id. The lender may give one id to payments on several loans."""
Values = Mapping[str, Any]


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


SubmissionKey = tuple[str, str, int]
"""Borrower, attempt, submission number."""
AttemptKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorPermit:
    """The heaviest end of an attempt's earlier permits. `end_rank` 0 is open, 1 not made, 2 shadowed,
    3 unknown, 4 made."""

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


class GateStore(Protocol):
    """The gate's database. Reads are a constant number of statements however many borrowers they are for."""

    async def holders(
        self, tx: Tx, *, number_keys: Collection[str], contact_points: Collection[tuple[str, str]]
    ) -> Mapping[str, frozenset[str]]:
        """Who holds each of these numbers, and each number of these (borrower, contact point)s."""
        ...

    async def lock_borrowers(self, tx: Tx, borrower_ids: Collection[str]) -> dict[str, LockedBorrower]:
        """Insert the missing rows, lock all in id order."""
        ...

    async def lock_numbers(self, tx: Tx, number_keys: Collection[str]) -> None:
        """The same for numbers; always after the borrowers."""
        ...

    async def write_facts(self, tx: Tx, rows: FactRows) -> Written:
        """Merge facts into the state, each by the way in which it converges."""
        ...

    async def open_permits(
        self, tx: Tx, borrower_ids: Collection[str], *, number_keys: Collection[str] = ()
    ) -> list[OpenPermit]:
        """Permits of these borrowers, or on these numbers, that have neither an end nor a revocation; in order."""
        ...

    async def load_facts(
        self, tx: Tx, borrower_ids: Collection[str], *, now: datetime, since: datetime, late_for: timedelta
    ) -> Mapping[str, LoadedFacts]:
        """The facts of every borrower; contacts from `since` on, payments not in the balance for `late_for`."""
        ...

    async def load_numbers(
        self, tx: Tx, number_keys: Collection[str], *, now: datetime, since: datetime
    ) -> Mapping[str, NumberFacts]:
        """What is kept under these numbers; a number that nothing is kept under may be missing."""
        ...

    async def stops(self, tx: Tx) -> tuple[Stop, ...]:
        """The operators' stops in force."""
        ...

    async def stored_decisions(self, tx: Tx, keys: Collection[SubmissionKey]) -> dict[SubmissionKey, StoredDecision]:
        """Those of `keys` that were decided before."""
        ...

    async def prior_permits(self, tx: Tx, keys: Collection[AttemptKey]) -> dict[AttemptKey, PriorPermit]:
        """Those of the attempts that had a permit before."""
        ...

    async def approvals(self, tx: Tx, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], HeldReview]:
        """Those of these (borrower, held decision)s that a person approved."""
        ...

    async def record_decisions(self, tx: Tx, decisions: Sequence[NewDecision], *, now: datetime) -> None:
        """Write new decisions, the permits among them, and the slots that those reserve."""
        ...

    async def record_revocations(self, tx: Tx, revocations: Sequence[tuple[Outgoing, Sequence[OpenPermit]]]) -> None:
        """Write revocations and mark the permits that they end; a replay of such a permit then brings both."""
        ...

    async def save_sequences(self, tx: Tx, sequences: Mapping[str, int]) -> None:
        """Write the last sequence number given, per borrower."""
        ...

    async def borrowers_to_stop(self, tx: Tx, stops: Sequence[Stop], *, limit: int) -> list[str]:
        """Borrowers with an open permit, not revoked, inside a stop's scope."""
        ...

    async def permit_counts(self, tx: Tx, *, ended_before: datetime) -> PermitCounts:
        """Open permits, and those of them that ended before an instant without anybody saying how."""
        ...


class Policies(Protocol):
    """The policy for each kind of borrower."""

    def resolve(self, region: str | None, zones: tuple[str, ...]) -> Policy:
        """The rules in force for a borrower of this region and these zones; always the same object for the same."""
        ...


class Numbers(Protocol):
    """What may be kept of a number."""

    def key(self, value: str) -> str:
        """The keyed hash under which everything about a number is kept."""
        ...

    def zones(self, value: str) -> tuple[str, ...]:
        """The IANA zones that an E.164 number points to; empty where it points to none."""
        ...


class Evidence(Protocol):
    """A decision's evidence."""

    @property
    def record(self) -> bytes:
        """Canonical bytes: what was decided, from what."""
        ...

    @property
    def sha256(self) -> str:
        """Their SHA-256 in hexadecimal."""
        ...


class EvidenceMaker(Protocol):
    """Makes the evidence of a decision."""

    def __call__(
        self, attempt: Attempt, facts: Facts, policy: Policy, now: datetime, decision: DomainDecision, /
    ) -> Evidence:
        """The same arguments give the same bytes."""
        ...


class Lag(Protocol):
    """How far behind the facts may be."""

    def __call__(self) -> float:
        """For how many seconds a fact topic has been behind."""
        ...
