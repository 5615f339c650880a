"""`contact.attempts.v1`: what the scheduler asks the gate for, and the referrals it records."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final, Literal

from msgspec import Meta

from shared.contracts.types import (
    Channel,
    CurrencyCode,
    Identifier,
    Instant,
    Language,
    Message,
    MinorUnits,
    Part,
    Party,
    Purpose,
    RiskGrade,
    ShortText,
)

ReferralTarget = Literal["person", "agency", "legal"]
TEMPLATE_NAMES: Final = (
    "sms-reminder",
    "sms-overdue-early",
    "sms-overdue",
    "sms-overdue-late",
    "sms-final",
    "call-overdue",
    "call-overdue-late",
    "sms-opt-out-confirmation",
)
"""Every text that an attempt may ask for: strategies name them, the notifier has them; `sms-…` or, spoken, `call-…`."""


class AttemptLoan(Part, frozen=True, kw_only=True):
    """One loan that the text will speak of, with the amounts it will say and the version they come from."""

    loan_id: Identifier
    balance_version: Annotated[int, Meta(ge=0)]
    overdue_minor: MinorUnits
    due_minor: MinorUnits
    """What the text asks for: the overdue total, or the next instalment in a reminder."""
    due_on: date
    days_past_due: int


class Approval(Part, frozen=True, kw_only=True):
    """A person's answer to a held decision; every rule is asked again, this only answers the one that held."""

    decision_id: Identifier
    approved_by: Identifier
    reason: ShortText


class AttemptSubmittedV1(Message, frozen=True, kw_only=True):
    """A contact that the scheduler wants made now. Its key is (borrower, attempt, submission number)."""

    attempt_id: Identifier
    submission_number: Annotated[int, Meta(ge=1, le=1000)]
    submitted_at: Instant
    expires_at: Instant
    purpose: Purpose
    channel: Channel
    contact_point_id: Identifier
    party: Party = "borrower"
    currency: CurrencyCode
    loans: Annotated[tuple[AttemptLoan, ...], Meta(min_length=1, max_length=64)]
    template: Identifier
    language: Language
    risk_grade: RiskGrade
    strategy: Identifier
    strategy_hash: Identifier
    step_key: Identifier
    reply_to: Identifier | None = None
    approval: Approval | None = None

    @property
    def due_minor(self) -> int:
        """What the text asks for over all its loans."""
        return sum(loan.due_minor for loan in self.loans)


class ReferralRecordedV1(Message, frozen=True, kw_only=True):
    """The end of a treatment path: a person, an agency or the court takes over; robots stop."""

    referral_id: Identifier
    target: ReferralTarget
    loans: tuple[Identifier, ...]
    strategy: Identifier
    step_key: Identifier
    referred_at: Instant
    reason: ShortText
