"""A submitted attempt in the domain's words, and a decision of the domain as the message and rows that tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, assert_never

import msgspec

from compliance_gate.domain import (
    Allowed,
    Approval,
    Attempt,
    AttemptAmount,
    Decision,
    Deferred,
    Denied,
    Earlier,
    HeldForReview,
    PastContact,
    Ruling,
)
from compliance_gate.domain.facts import Place
from compliance_gate.domain.kept_facts import ContactPointFacts, Profile
from compliance_gate.handlers.fact_rows import OPEN, end_rank
from compliance_gate.ports import Evidence, HeldReview, NewDecision, NewPermit, PriorPermit
from shared import ids
from shared.contracts import (
    AttemptSubmittedV1,
    ContactAllowedV1,
    ContactDeferredV1,
    ContactDeniedV1,
    ContactHeldV1,
    Party,
    RuleSpoken,
)
from shared.contracts import Decision as DecisionMessage
from shared.kafka.records import Received

_SPEAKING: Final = ("sms", "voice")
_encoder: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known about one submission beside its borrower's facts."""

    point: ContactPointFacts | None
    provider: str | None
    review: HeldReview | None
    prior: PriorPermit | None
    contact: PastContact | None
    """The attempt's own contact in the history: a slot, or one that was made."""


def attempt_of(message: AttemptSubmittedV1, around: Situation) -> Attempt:
    """The attempt in the domain's words. Without a usable contact point it has no number, and is put off."""
    point = around.point
    return Attempt(
        attempt_id=message.attempt_id,
        submission_number=message.submission_number,
        borrower_id=message.borrower_id,
        channel=message.channel,
        loans=tuple(loan.loan_id for loan in message.loans),
        number_key=point.number_key if point is not None else None,
        expires_at=message.expires_at,
        party=_party(message, point),
        purpose=message.purpose,
        reply_to=message.reply_to,
        amounts=_amounts(message),
        strategy=message.strategy,
        provider=around.provider,
        contact_point_id=message.contact_point_id,
        place=_place(point),
        approval=_approval(message, around.review),
        earlier=_earlier(around),
    )


def usable_point(message: AttemptSubmittedV1, profile: Profile | None) -> ContactPointFacts | None:
    """The active contact point that the attempt names, if its kind can carry the channel."""
    point = profile.point(message.contact_point_id) if profile is not None else None
    if point is None or (message.channel in _SPEAKING and point.kind == "email"):
        return None
    return point


def reservation_of(attempt: Attempt, now: datetime) -> PastContact:
    """The slot that a permit takes under every cap that it counts towards."""
    return PastContact(
        contact_id=attempt.attempt_id,
        at=now,
        channel=attempt.channel,
        state="reserved",
        loans=attempt.loans,
        number_key=attempt.number_key,
        party=attempt.party,
        purpose=attempt.purpose,
        reply_to=attempt.reply_to,
    )


def decision_message(
    record: Received[AttemptSubmittedV1], decision: Decision, sequence: int, now: datetime
) -> DecisionMessage:
    """The verdict as its message; a permit carries the attempt."""
    message = record.message
    told: dict[str, Any] = {
        "borrower_id": message.borrower_id,
        "decision_id": ids.decision_id(
            borrower_id=message.borrower_id,
            attempt_id=message.attempt_id,
            submission_number=message.submission_number,
        ),
        "attempt_id": message.attempt_id,
        "submission_number": message.submission_number,
        "borrower_sequence": sequence,
        "decided_at": now,
        "policy_hash": decision.policy_hash,
        "rules": spoken(decision.rules),
    }
    match decision:
        case Allowed():
            return ContactAllowedV1(**told, permit_expires_at=decision.permit_expires_at, attempt=message)
        case Deferred():
            return ContactDeferredV1(**told, next_legal_instant=decision.next_legal_instant)
        case Denied():
            return ContactDeniedV1(**told, reason=decision.deciding_rule)
        case HeldForReview():
            return ContactHeldV1(**told, reason=decision.deciding_rule)
        case _:
            assert_never(decision)


def spoken(rules: tuple[Ruling, ...]) -> tuple[RuleSpoken, ...]:
    """The rules without the facts that they used: those are in the evidence."""
    return tuple(_spoken(rule.rule_id, rule.result) for rule in rules)


@lru_cache(maxsize=4_096)
def _spoken(rule_id: str, result: str) -> RuleSpoken:
    return RuleSpoken(rule_id=rule_id, result=result)  # type: ignore[arg-type]


VERDICTS: Final[Mapping[type[Decision], str]] = {
    Allowed: "allowed",
    Deferred: "deferred",
    Denied: "denied",
    HeldForReview: "held",
}


def deciding_rule(decision: Decision) -> str | None:
    """The rule that decided; None for a permit, which none stood in the way of."""
    return None if isinstance(decision, Allowed) else decision.deciding_rule


def new_decision(
    record: Received[AttemptSubmittedV1],
    attempt: Attempt,
    decision: Decision,
    told: DecisionMessage,
    evidence: Evidence,
) -> NewDecision:
    """What is written of `decision`."""
    return NewDecision(
        borrower_id=attempt.borrower_id,
        attempt_id=attempt.attempt_id,
        submission_number=attempt.submission_number,
        decision_id=told.decision_id,
        borrower_sequence=told.borrower_sequence,
        verdict=VERDICTS[type(decision)],
        deciding_rule=deciding_rule(decision),
        message=_encoder.encode(told),
        evidence=evidence.record,
        evidence_sha256=evidence.sha256,
        permit=_new_permit(record, attempt, decision) if isinstance(decision, Allowed) else None,
    )


def _new_permit(record: Received[AttemptSubmittedV1], attempt: Attempt, allowed: Allowed) -> NewPermit:
    message = record.message
    assert attempt.number_key is not None, "nothing is allowed without a number"
    return NewPermit(
        expires_at=allowed.permit_expires_at,
        channel=attempt.channel,
        contact_point_id=message.contact_point_id,
        number_key=attempt.number_key,
        party=attempt.party,
        purpose=attempt.purpose,
        reply_to=attempt.reply_to,
        balance_versions={loan.loan_id: loan.balance_version for loan in message.loans},
        strategy=message.strategy,
        provider=attempt.provider,
        cause=(record.ce_source, record.ce_id),
    )


def _amounts(message: AttemptSubmittedV1) -> tuple[AttemptAmount, ...]:
    if message.purpose == "opt_out_confirmation":  # it says that no more messages come, and no amounts
        return ()
    return tuple(
        AttemptAmount(
            loan_id=loan.loan_id,
            amount_minor=loan.due_minor,
            currency=message.currency,
            balance_version=loan.balance_version,
        )
        for loan in message.loans
    )


def _party(message: AttemptSubmittedV1, point: ContactPointFacts | None) -> Party:
    """A third person's number is contact with a third person, whatever the attempt says."""
    if message.party == "borrower" and point is not None and point.holder == "third_party":
        return "third_party"
    return message.party


def _place(point: ContactPointFacts | None) -> Place | None:
    if point is None:
        return None
    if point.holder == "workplace":
        return "work"
    if point.kind == "mobile":
        return "mobile"
    return "home" if point.kind == "landline" and point.holder == "borrower" else None


def _approval(message: AttemptSubmittedV1, review: HeldReview | None) -> Approval | None:
    """Only an approval that the gate itself was told of, for this attempt."""
    if message.approval is None or review is None or review.attempt_id != message.attempt_id:
        return None
    return Approval(approved_by=review.reviewed_by, reason=review.reason, rule_ids=review.rule_ids)


def _earlier(around: Situation) -> Earlier | None:
    prior = around.prior
    if prior is None:
        return None
    used = prior.end_rank > end_rank("not_made") or prior.end_reason == "rejected"
    if used or (around.contact is not None and around.contact.state in ("made", "unknown", "shadowed")):
        return Earlier(state="used", permit_ends_at=prior.expires_at)
    return Earlier(state="open", permit_ends_at=prior.expires_at) if prior.end_rank == OPEN else None
