"""`contact.decisions.v1`: the gate's verdicts, permits and revocations."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from shared.contracts.attempts import AttemptSubmittedV1
from shared.contracts.types import Channel, Identifier, Instant, Message, Part

RuleResult = Literal["passed", "warned", "blocked", "deferred", "held", "not_applicable"]
RevocationReason = Literal[
    "payment", "opt_out", "restriction", "consent", "closure", "stop", "balance", "contact_point", "contact"
]


class RuleSpoken(Part, frozen=True, kw_only=True):
    """One rule that was asked, and what it said."""

    rule_id: str
    result: RuleResult


class Decision(Message, frozen=True, kw_only=True):
    """What every verdict carries. `borrower_sequence` orders verdicts and revocations of one borrower."""

    decision_id: Identifier
    attempt_id: Identifier
    submission_number: int
    borrower_sequence: Annotated[int, Meta(ge=1)]
    decided_at: Instant
    policy_hash: str
    rules: tuple[RuleSpoken, ...]


class ContactAllowedV1(Decision, frozen=True, kw_only=True):
    """A permit: the attempt may be made once, before `permit_expires_at`, unless a revocation covers it."""

    permit_expires_at: Instant
    attempt: AttemptSubmittedV1


class ContactDeferredV1(Decision, frozen=True, kw_only=True):
    """Not now. `next_legal_instant` is when every rule would let it pass as things stand; absent: unknown yet."""

    next_legal_instant: Instant | None


class ContactDeniedV1(Decision, frozen=True, kw_only=True):
    """Never for this attempt."""

    reason: str


class ContactHeldV1(Decision, frozen=True, kw_only=True):
    """A person must look before this attempt may be submitted again."""

    reason: str


class RevocationScope(Part, frozen=True, kw_only=True):
    """Which permits a revocation covers: all of the borrower's, or those that match every field that is set."""

    channel: Channel | None = None
    contact_point_id: Identifier | None = None
    loans: tuple[Identifier, ...] | None = None
    strategy: Identifier | None = None
    provider: Identifier | None = None


class PermitRevokedV1(Message, frozen=True, kw_only=True):
    """Covers every permit of its scope with a lower `borrower_sequence`, known to the reader or not."""

    revocation_id: Identifier
    borrower_sequence: Annotated[int, Meta(ge=1)]
    scope: RevocationScope
    reason: RevocationReason
    revoked_at: Instant
    attempt_ids: tuple[Identifier, ...]
    """The open permits that it ended, as the gate knew them."""
