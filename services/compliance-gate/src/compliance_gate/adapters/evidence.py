"""The evidence of a decision: canonical bytes, their SHA-256, and a replay that must give the same verdict."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from compliance_gate.domain import Allowed, Attempt, Decision, Facts, Policy, Ruling, decide
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


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An EvidenceRecord, field by field, whose unchanging parts are encoded already."""

    version: Literal[1]
    decided_at: datetime
    attempt: Attempt
    facts: Facts
    stack: msgspec.Raw
    policy_hash: str
    decision: Decision | _PlainYes


class _PlainYes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="verdict", tag="allowed"):
    """An Allowed without warnings; its rulings are shared by many decisions of a plan."""

    rules: msgspec.Raw
    policy_hash: str
    permit_expires_at: datetime


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(EvidenceRecord)
_REMEMBERED_MAX = 4_096
_stacks: dict[Policy, msgspec.Raw] = {}
_rulings: dict[int, tuple[tuple[Ruling, ...], msgspec.Raw]] = {}


def evidence_of(attempt: Attempt, facts: Facts, policy: Policy, now: datetime, decision: Decision) -> Evidence:
    """The evidence of one decision, of about 5 KiB with twenty past contacts."""
    stack = _stacks.get(policy)
    if stack is None:
        stack = _remember_stack(policy)
    told: Decision | _PlainYes = decision
    if type(decision) is Allowed and not decision.warnings:
        told = _PlainYes(
            rules=_encoded(decision.rules),
            policy_hash=decision.policy_hash,
            permit_expires_at=decision.permit_expires_at,
        )
    record = _ENCODER.encode(
        _Record(
            version=1,
            decided_at=now,
            attempt=attempt,
            facts=facts,
            stack=stack,
            policy_hash=policy.policy_hash,
            decision=told,
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


def _remember_stack(policy: Policy) -> msgspec.Raw:
    if len(_stacks) >= _REMEMBERED_MAX:
        _stacks.clear()
    stack = _stacks[policy] = msgspec.Raw(_ENCODER.encode(policy.stack))
    return stack


def _encoded(rules: tuple[Ruling, ...]) -> msgspec.Raw:
    """The encoding of rulings, remembered by identity: the entry keeps its rulings, so no other can have their id."""
    known = _rulings.get(id(rules))
    if known is None:
        if len(_rulings) >= _REMEMBERED_MAX:
            _rulings.clear()
        known = _rulings[id(rules)] = (rules, msgspec.Raw(_ENCODER.encode(rules)))
    return known[1]
