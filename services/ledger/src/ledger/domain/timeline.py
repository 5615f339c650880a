"""The case timeline: one row for everything that happened to a borrower, without any personal data.

Names, numbers and free texts (reasons that people typed) stay out; ids, codes, amounts and rules go in. The rows of
the five loan events keep the whole message: they are the history that a late event is folded into again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.contracts import (
    AttemptSubmittedV1,
    BorrowerUpdatedV1,
    ContactAllowedV1,
    ContactDeferredV1,
    ContactDeniedV1,
    ContactHeldV1,
    Message,
    PaymentReversedV1,
    ReferralRecordedV1,
)
from shared.contracts.decisions import Decision, RuleSpoken

_LEFT_OUT: Final = ("borrower_id", "reason")
_CODED_REASONS: Final = frozenset(
    {"ContactNotMadeV1", "PermitRevokedV1", "LoanClosedV1", "ContactDeniedV1", "ContactHeldV1"}
)
"""Messages whose `reason` is a code of ours, not something that a person typed."""


def detail(message: Message) -> Any:
    """What the timeline keeps of `message`: a value that encodes to JSON."""
    describe = _DESCRIPTIONS.get(type(message))
    if describe is not None:
        return describe(message)
    if type(message).__name__ in _CODED_REASONS or "reason" not in message.__struct_fields__:
        return message
    return {name: getattr(message, name) for name in message.__struct_fields__ if name not in _LEFT_OUT}


def _profile(message: BorrowerUpdatedV1) -> dict[str, Any]:
    points = [
        {"contact_point_id": p.contact_point_id, "kind": p.kind, "holder": p.holder, "active": p.active}
        for p in message.contact_points
    ]
    return {
        "language": message.language,
        "region": message.region,
        "zones": message.zones,
        "contact_points": points,
    }


def _reversal(message: PaymentReversedV1) -> PaymentReversedV1:
    return PaymentReversedV1(borrower_id=message.borrower_id, loan_id=message.loan_id, payment_id=message.payment_id)


def _attempt(message: AttemptSubmittedV1) -> dict[str, Any]:
    return {
        "attempt_id": message.attempt_id,
        "submission_number": message.submission_number,
        "purpose": message.purpose,
        "channel": message.channel,
        "contact_point_id": message.contact_point_id,
        "currency": message.currency,
        "due_minor": message.due_minor,
        "loans": [loan.loan_id for loan in message.loans],
        "template": message.template,
        "language": message.language,
        "risk_grade": message.risk_grade,
        "strategy": message.strategy,
        "step_key": message.step_key,
        "expires_at": message.expires_at,
        "approved_by": message.approval.approved_by if message.approval else None,
    }


def _referral(message: ReferralRecordedV1) -> dict[str, Any]:
    return {
        "referral_id": message.referral_id,
        "target": message.target,
        "loans": message.loans,
        "strategy": message.strategy,
        "step_key": message.step_key,
    }


def _rules(rules: Sequence[RuleSpoken]) -> dict[str, list[str]]:
    by_result: dict[str, list[str]] = defaultdict(list)
    for rule in rules:
        by_result[rule.result].append(rule.rule_id)
    return by_result


def _decision(message: Decision) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "decision_id": message.decision_id,
        "attempt_id": message.attempt_id,
        "submission_number": message.submission_number,
        "borrower_sequence": message.borrower_sequence,
        "policy_hash": message.policy_hash,
        "rules": _rules(message.rules),
    }
    match message:
        case ContactAllowedV1(permit_expires_at=ends, attempt=attempt):
            kept |= {
                "permit_expires_at": ends,
                "channel": attempt.channel,
                "currency": attempt.currency,
                "due_minor": attempt.due_minor,
                "loans": [loan.loan_id for loan in attempt.loans],
            }
        case ContactDeferredV1(next_legal_instant=instant):
            kept["next_legal_instant"] = instant
        case ContactDeniedV1(reason=reason) | ContactHeldV1(reason=reason):
            kept["reason"] = reason
    return kept


_DESCRIPTIONS: Final[dict[type[Message], Callable[[Any], Any]]] = {
    BorrowerUpdatedV1: _profile,
    PaymentReversedV1: _reversal,
    AttemptSubmittedV1: _attempt,
    ReferralRecordedV1: _referral,
    ContactAllowedV1: _decision,
    ContactDeferredV1: _decision,
    ContactDeniedV1: _decision,
    ContactHeldV1: _decision,
}
