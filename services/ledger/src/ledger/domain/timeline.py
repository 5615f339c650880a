"""The case timeline: one row for everything that happened to a borrower, without names, numbers and what they wrote.

Ids, codes, amounts and rules go in, and who of the lender did what by hand, and why. That reason is the one free text
that is kept: a stop that nobody can explain is not audited. What looks like a number or an address in it is masked,
and it goes from here to a person alone, never to a log or a metric. The rows of the five loan events keep the whole
message: they are the history that a late event is folded into again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.contracts import (
    AttemptSubmittedV1,
    BalanceChangedV1,
    BorrowerUpdatedV1,
    ConsentChangedV1,
    ContactAllowedV1,
    ContactDeferredV1,
    ContactDeniedV1,
    ContactHeldV1,
    ContactMadeV1,
    ContactNotMadeV1,
    ContactProgressedV1,
    ContactUnknownV1,
    DeadLetterAccessedV1,
    ExternalContactMadeV1,
    HeldReviewedV1,
    LoanClosedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    Message,
    PaymentPostedV1,
    PaymentReceivedV1,
    PaymentReversedV1,
    PaymentUnpostedV1,
    PermitRevokedV1,
    PromiseBrokenV1,
    PromiseKeptV1,
    PromiseOpenedV1,
    PromisePartlyKeptV1,
    PromiseVoidedV1,
    ReferralRecordedV1,
    ReplyReceivedV1,
    RestrictionChangedV1,
    StopLiftedV1,
    StopOrderedV1,
)
from shared.contracts.decisions import Decision, RuleSpoken

_LEFT_OUT: Final = ("borrower_id", "reason")
_CODED_REASONS: Final = frozenset(
    {"ContactNotMadeV1", "PermitRevokedV1", "LoanClosedV1", "ContactDeniedV1", "ContactHeldV1"}
)
"""Messages whose `reason` is a code of ours, not something that a person typed."""
_MASKED: Final = "***"
_DATE_OR_PERSONAL: Final = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)|\S+@\S+|\+?\d(?:[ .()/\-]{0,2}\d){6,}[Xx]?")
"""A date, which stays; an e-mail address; seven digits and more, however they are set apart: a number, an identity."""

CAUSAL_ORDER: Final[tuple[type[Message], ...]] = (
    BorrowerUpdatedV1,
    LoanRegisteredV1,
    LoanOverdueV1,
    PaymentReceivedV1,
    PaymentReversedV1,
    LoanClosedV1,
    ConsentChangedV1,
    RestrictionChangedV1,
    ExternalContactMadeV1,
    StopOrderedV1,
    StopLiftedV1,
    HeldReviewedV1,
    DeadLetterAccessedV1,
    ReplyReceivedV1,
    PaymentPostedV1,
    PaymentUnpostedV1,
    BalanceChangedV1,
    PromiseOpenedV1,
    PromiseKeptV1,
    PromisePartlyKeptV1,
    PromiseBrokenV1,
    PromiseVoidedV1,
    ReferralRecordedV1,
    AttemptSubmittedV1,
    ContactAllowedV1,
    ContactDeferredV1,
    ContactDeniedV1,
    ContactHeldV1,
    PermitRevokedV1,
    ContactMadeV1,
    ContactNotMadeV1,
    ContactUnknownV1,
    ContactProgressedV1,
)
"""What happened at one instant is told in this order: what was learned, what was booked, what was done about it."""


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


def _by_hand(message: Message) -> dict[str, Any]:
    kept = {name: getattr(message, name) for name in message.__struct_fields__ if name != "borrower_id"}
    return kept | {"reason": masked(kept["reason"])}


def masked(text: str) -> str:
    """What a person typed, without what looks like a telephone number, an identity or account number, an address."""
    return _DATE_OR_PERSONAL.sub(lambda found: found[0] if _is_date(found[0]) else _MASKED, text)


def _is_date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None


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
    StopOrderedV1: _by_hand,
    StopLiftedV1: _by_hand,
    HeldReviewedV1: _by_hand,
    DeadLetterAccessedV1: _by_hand,
}
