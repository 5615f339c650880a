"""The evidence of a decision: canonical bytes, their SHA-256, and a replay that must give the same verdict."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from compliance_gate.domain import Attempt, Decision, Facts, Policy, decide
from compliance_gate.domain.policy import Stack
from compliance_gate.policy.book import PolicyBook
from shared.errors import DecorumError


class EvidenceMismatch(DecorumError):
    """A replay that didn't give what was recorded; the message says what differs."""


class EvidenceRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a decision was made from, and the decision.

    Encoded in the order of its fields, without those that hold their default, it is canonical: equal records have
    equal bytes. `version` rises when a field's meaning or default changes.
    """

    version: Literal[1]
    decided_at: datetime
    attempt: Attempt
    facts: Facts
    stack: Stack
    policy_hash: str
    decision: Decision


class Evidence(NamedTuple):
    """The canonical bytes of a record and their SHA-256 in hexadecimal."""

    record: bytes
    sha256: str


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(EvidenceRecord)


def evidence_of(attempt: Attempt, facts: Facts, policy: Policy, now: datetime, decision: Decision) -> Evidence:
    """The evidence of one decision, of about 4 KiB with twenty past contacts."""
    record = _ENCODER.encode(
        EvidenceRecord(
            version=1,
            decided_at=now,
            attempt=attempt,
            facts=facts,
            stack=policy.stack,
            policy_hash=policy.policy_hash,
            decision=decision,
        )
    )
    return Evidence(record, hashlib.sha256(record).hexdigest())


def replay(record: bytes, book: PolicyBook) -> Decision:
    """Decide again what `record` holds. EvidenceMismatch if the policy is another one now, or the decision differs."""
    try:
        recorded = _DECODER.decode(record)
    except msgspec.DecodeError as error:
        raise EvidenceMismatch(f"not an evidence record: {error}") from None
    policy = book.resolve_stack(recorded.stack)
    if policy.policy_hash != recorded.policy_hash:
        raise EvidenceMismatch("the packs, the roles or the calendars have changed since")
    decision = decide(recorded.attempt, recorded.facts, policy, recorded.decided_at)
    if decision != recorded.decision:
        raise EvidenceMismatch("the same facts and policy gave another decision")
    return decision
