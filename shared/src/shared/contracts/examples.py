"""One valid message of every type: printed into `shared/examples`, read by documentation and by contract tests."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from shared.contracts import (
    Amounts,
    AttemptLoan,
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
    ContactPoint,
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
    RevocationScope,
    RuleSpoken,
    StopLiftedV1,
    StopOrderedV1,
)

_BORROWER: Final = "B-1001"
_LOAN: Final = "L-2001"
_AT: Final = datetime(2026, 9, 16, 2, 0, tzinfo=UTC)
_DUE: Final = date(2026, 9, 10)
_POINT: Final = "P-1001-1"
_ATTEMPT_ID: Final = "2d0f6f4e-1c0a-5c8b-9d3f-0a3a5b6c7d8e"
_DECISION_ID: Final = "c9a1d0de-54a9-5d65-8ef0-b3c1a2d3e4f5"
_OVERDUE: Final = Amounts(fees_minor=1_000, interest_minor=2_500, principal_minor=50_000)
_OUTSTANDING: Final = Amounts(fees_minor=1_000, interest_minor=2_500, principal_minor=600_000)

_ATTEMPT: Final = AttemptSubmittedV1(
    borrower_id=_BORROWER,
    attempt_id=_ATTEMPT_ID,
    submission_number=1,
    submitted_at=_AT,
    expires_at=_AT + timedelta(days=2),
    purpose="demand",
    channel="sms",
    contact_point_id=_POINT,
    currency="CNY",
    loans=(
        AttemptLoan(
            loan_id=_LOAN, balance_version=3, overdue_minor=53_500, due_minor=53_500, due_on=_DUE, days_past_due=6
        ),
    ),
    template="sms-overdue-early",
    language="zh",
    risk_grade="low",
    strategy="courteous-low",
    strategy_hash="0f3a9c",
    step_key="dpd6-sms",
)

_DECISION: Final[dict[str, Any]] = {
    "borrower_id": _BORROWER,
    "decision_id": _DECISION_ID,
    "attempt_id": _ATTEMPT_ID,
    "submission_number": 1,
    "borrower_sequence": 4,
    "decided_at": _AT,
    "policy_hash": "5e1f0b",
}
_PERMIT_END: Final[dict[str, Any]] = {
    "borrower_id": _BORROWER,
    "attempt_id": _ATTEMPT_ID,
    "submission_number": 1,
    "decision_id": _DECISION_ID,
    "channel": "sms",
    "contact_point_id": _POINT,
    "loans": (_LOAN,),
    "provider": "carrier-sms",
}
_PROMISE: Final[dict[str, Any]] = {
    "borrower_id": _BORROWER,
    "promise_id": "PP-1",
    "loans": (_LOAN,),
    "currency": "CNY",
    "promised_minor": 53_500,
    "promised_on": date(2026, 9, 18),
    "grace_ends_at": datetime(2026, 9, 19, 16, 0, tzinfo=UTC),
    "at": _AT,
    "promised_at": _AT,
}
_PASSED: Final = (RuleSpoken(rule_id="cn.window", result="passed"),)


def _loan_events() -> tuple[Message, ...]:
    return (
        LoanRegisteredV1(
            borrower_id=_BORROWER,
            loan_id=_LOAN,
            currency="CNY",
            opened_on=date(2026, 3, 10),
            outstanding=_OUTSTANDING,
            next_due_on=_DUE,
            next_due=Amounts(interest_minor=2_500, principal_minor=50_000),
        ),
        LoanOverdueV1(
            borrower_id=_BORROWER,
            loan_id=_LOAN,
            currency="CNY",
            as_of=date(2026, 9, 16),
            days_past_due=6,
            oldest_unpaid_due_on=_DUE,
            overdue=_OVERDUE,
            outstanding=_OUTSTANDING,
        ),
        LoanClosedV1(borrower_id=_BORROWER, loan_id=_LOAN, reason="paid"),
        PaymentReceivedV1(
            borrower_id=_BORROWER, loan_id=_LOAN, payment_id="PAY-1", currency="CNY", amount_minor=53_500
        ),
        PaymentReversedV1(borrower_id=_BORROWER, loan_id=_LOAN, payment_id="PAY-1", reason="returned debit"),
        BorrowerUpdatedV1(
            borrower_id=_BORROWER,
            name="示例客户",
            language="zh",
            region="CN",
            zones=("Asia/Shanghai",),
            contact_points=(ContactPoint(contact_point_id=_POINT, kind="mobile", value="+8613800138000"),),
        ),
        ConsentChangedV1(
            borrower_id=_BORROWER,
            consent_id="CO-1",
            kind="opt_out",
            in_force=True,
            effective_from=_AT,
            channel="voice",
        ),
        RestrictionChangedV1(
            borrower_id=_BORROWER,
            restriction_id="R-1",
            kind="dispute",
            active=True,
            effective_from=_AT,
            loans=(_LOAN,),
        ),
        ExternalContactMadeV1(
            borrower_id=_BORROWER,
            contact_id="X-1",
            channel="voice",
            direction="outbound",
            result="no_answer",
            made_at=_AT,
            made_by="agency-east",
            loans=(_LOAN,),
        ),
    )


def _contacts() -> tuple[Message, ...]:
    return (
        _ATTEMPT,
        ReferralRecordedV1(
            borrower_id=_BORROWER,
            referral_id="RF-1",
            target="agency",
            loans=(_LOAN,),
            strategy="courteous-high",
            step_key="refer-agency",
            referred_at=_AT,
            reason="the treatment path ended unpaid",
        ),
        ContactAllowedV1(**_DECISION, rules=_PASSED, permit_expires_at=_AT + timedelta(minutes=30), attempt=_ATTEMPT),
        ContactDeferredV1(
            **_DECISION,
            rules=(RuleSpoken(rule_id="courteous.window", result="deferred"),),
            next_legal_instant=_AT + timedelta(hours=23),
        ),
        ContactDeniedV1(
            **_DECISION, rules=(RuleSpoken(rule_id="facts.nothing_due", result="blocked"),), reason="facts.nothing_due"
        ),
        ContactHeldV1(
            **_DECISION, rules=(RuleSpoken(rule_id="borrower.vulnerable", result="held"),), reason="borrower.vulnerable"
        ),
        PermitRevokedV1(
            borrower_id=_BORROWER,
            revocation_id="RV-1",
            borrower_sequence=5,
            scope=RevocationScope(),
            reason="payment",
            revoked_at=_AT,
            attempt_ids=(_ATTEMPT_ID,),
        ),
        ContactMadeV1(**_PERMIT_END, made_at=_AT),
        ContactNotMadeV1(**_PERMIT_END, reason="permit_expired", ended_at=_AT),
        ContactUnknownV1(**_PERMIT_END, sent_at=_AT),
        ContactProgressedV1(
            borrower_id=_BORROWER,
            attempt_id=_ATTEMPT_ID,
            channel="sms",
            contact_point_id=_POINT,
            loans=(_LOAN,),
            result="delivered",
            occurred_at=_AT,
            made_at=_AT,
        ),
        ReplyReceivedV1(
            borrower_id=_BORROWER,
            reply_id="IN-1",
            channel="sms",
            received_at=_AT,
            intent="promise",
            contact_point_id=_POINT,
            attempt_id=_ATTEMPT_ID,
            loans=(_LOAN,),
            promised_minor=53_500,
            currency="CNY",
            promised_on=date(2026, 9, 18),
        ),
    )


def _ledger_entries() -> tuple[Message, ...]:
    return (
        PaymentPostedV1(
            borrower_id=_BORROWER,
            loan_id=_LOAN,
            payment_id="PAY-1",
            currency="CNY",
            amount_minor=53_500,
            allocated=_OVERDUE,
            suspense_minor=0,
            posted_to="loan",
            effective_at=_AT,
            posted_at=_AT,
            balance_version=3,
        ),
        PaymentUnpostedV1(
            borrower_id=_BORROWER,
            loan_id=_LOAN,
            payment_id="PAY-1",
            currency="CNY",
            amount_minor=53_500,
            effective_at=_AT,
        ),
        BalanceChangedV1(
            borrower_id=_BORROWER,
            loan_id=_LOAN,
            currency="CNY",
            balance_version=3,
            overdue=_OVERDUE,
            outstanding=_OUTSTANDING,
            oldest_unpaid_due_on=_DUE,
            next_due_on=date(2026, 10, 10),
            next_due=Amounts(interest_minor=2_500, principal_minor=50_000),
            closed=False,
            as_of=_AT,
            cause="snapshot",
        ),
        PromiseOpenedV1(**_PROMISE, paid_minor=0),
        PromiseKeptV1(**_PROMISE, paid_minor=53_500),
        PromisePartlyKeptV1(**_PROMISE, paid_minor=20_000),
        PromiseBrokenV1(**_PROMISE, paid_minor=0),
        PromiseVoidedV1(**_PROMISE | {"promised_minor": 0}, paid_minor=0),
    )


def _operator_actions() -> tuple[Message, ...]:
    return (
        StopOrderedV1(
            borrower_id="all",
            stop_id="S-1",
            kind="channel",
            value="voice",
            reason="complaint under review",
            ordered_by="compliance-1",
            ordered_at=_AT,
        ),
        StopLiftedV1(
            borrower_id="all",
            stop_id="S-1",
            kind="channel",
            value="voice",
            reason="review ended",
            lifted_by="compliance-1",
            lifted_at=_AT,
        ),
        HeldReviewedV1(
            borrower_id=_BORROWER,
            decision_id=_DECISION_ID,
            attempt_id=_ATTEMPT_ID,
            submission_number=1,
            approved=True,
            reviewed_by="compliance-1",
            reason="the borrower asked for this call",
            reviewed_at=_AT,
        ),
        DeadLetterAccessedV1(
            borrower_id=_BORROWER,
            action="redriven",
            topic="lender.loan-events.v1",
            partition=0,
            offset=17,
            group="ledger",
            accessed_by="engineer-1",
            reason="the lender corrected its currency table",
            accessed_at=_AT,
        ),
    )


EXAMPLES: Final[tuple[Message, ...]] = (*_loan_events(), *_contacts(), *_ledger_entries(), *_operator_actions())
"""One message of every type in the registry; business time of all: 2026-09-16T02:00Z."""
AT: Final = _AT
