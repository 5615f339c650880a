"""An attempt's life, from planned to its one end, as pure transitions on what gate, notifier and people report.

A report changes an attempt only if it speaks of the submission that is open, except that a contact which was made
is made, whatever came first: made > unknown > shadowed > every other end. So any order and number of reports agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple, assert_never

from scheduler.domain.strategy import StepChannel
from shared.contracts.attempts import Approval, ReferralTarget
from shared.contracts.decisions import ContactDeferredV1, ContactDeniedV1, ContactHeldV1
from shared.contracts.operator_actions import HeldReviewedV1
from shared.contracts.outcomes import ContactMadeV1, ContactNotMadeV1, ContactUnknownV1
from shared.contracts.standing import STANDING_RANK, STANDINGS_RISING, Standing, standing_of
from shared.contracts.types import Purpose, RiskGrade

AttemptState = Literal["planned", "submitted", "held", "made", "unknown", "shadowed", "ended"]
EndReason = Literal[
    "denied",
    "rejected",
    "refused",
    "expired",
    "not_wanted",
    "no_contact_point",
    "template_failed",
    "submissions_exhausted",
]
Report = (
    ContactDeferredV1
    | ContactDeniedV1
    | ContactHeldV1
    | HeldReviewedV1
    | ContactMadeV1
    | ContactNotMadeV1
    | ContactUnknownV1
)
TAKEN: Final = frozenset(STANDINGS_RISING[1:])
"""The states, and the standings of a contact, in which a step is taken and never planned again in its episode."""
SUBMISSIONS_MAX: Final = 1_000
"""The contract's bound on `submission_number`."""
_DEFERRAL_MIN: Final = timedelta(minutes=1)
"""Keeps a deferral to this very instant from going round at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long an attempt waits where nobody said until when."""

    ask_again: timedelta
    """After a deferral without a next legal instant."""
    resubmit: timedelta
    """After a permit that ended unused."""


class Attempt(NamedTuple):
    """One step of one episode. `submissions` counts the hand-overs to the gate so far; the last one is the open one.

    A named tuple, not a dataclass: thousands a second are made from rows, at a tenth of the cost (throughput before
    convenience). Its fields are in the order of the table's columns; it is always built by keyword elsewhere.
    """

    attempt_id: str
    currency: str
    episode: date
    plan_number: int
    step_key: str
    strategy: str
    strategy_hash: str
    grade: RiskGrade
    purpose: Purpose
    channel: StepChannel
    template: str
    planned_for: datetime
    due_at: datetime
    expires_at: datetime
    state: AttemptState = "planned"
    end_reason: EndReason | None = None
    wanted: bool = True
    """Whether the plan as it stands wants it; one that was submitted before waits, unwanted, for its expiry."""
    submissions: int = 0
    deferred_until: datetime | None = None
    submitted_at: datetime | None = None
    contact_point_id: str | None = None
    approval: Approval | None = None

    @property
    def unseen(self) -> bool:
        """Never handed over: it stands in the plan of the moment alone, and can vanish without a trace."""
        return self.state == "planned" and self.submissions == 0

    @property
    def waits(self) -> bool:
        """Handed over before and to be handed over again."""
        return self.state == "planned" and self.submissions > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """A hand-over that was recorded."""

    referral_id: str
    currency: str
    episode: date
    step_key: str
    target: ReferralTarget
    referred_at: datetime


def ended(attempt: Attempt, reason: EndReason) -> Attempt:
    """`attempt` at its end without a contact."""
    return attempt._replace(state="ended", end_reason=reason, approval=None)


def after_report(attempt: Attempt, report: Report, waits: Waits) -> Attempt:
    """`attempt` after `report`; the same object where the report changes nothing."""
    match report:
        case ContactMadeV1() | ContactUnknownV1():
            return _taken(attempt, standing_of(report))
        case ContactNotMadeV1() if standing_of(report) in TAKEN:
            return _taken(attempt, standing_of(report))
        case _:
            open_one = attempt.state in ("submitted", "held") and report.submission_number == attempt.submissions
            return _after_answer(attempt, report, waits) if open_one else attempt


def _taken(attempt: Attempt, standing: Standing) -> Attempt:
    """`attempt` with its step taken, whatever came before, unless it is known to be taken as surely."""
    assert standing != "not_made", "a step is taken by what left, may have left, or would have"
    match attempt.state:
        case "made" | "unknown" | "shadowed" if STANDING_RANK[attempt.state] >= STANDING_RANK[standing]:
            return attempt
        case _:
            return attempt._replace(state=standing, end_reason=None)


def _after_answer(
    attempt: Attempt,
    report: ContactDeferredV1 | ContactDeniedV1 | ContactHeldV1 | HeldReviewedV1 | ContactNotMadeV1,
    waits: Waits,
) -> Attempt:
    match report:
        case ContactDeferredV1():
            asked_again_at = report.next_legal_instant or report.decided_at + waits.ask_again
            return _waiting(attempt, max(asked_again_at, report.decided_at + _DEFERRAL_MIN))
        case ContactDeniedV1():
            return ended(attempt, "denied")
        case ContactHeldV1():
            return attempt._replace(state="held")
        case HeldReviewedV1():
            if not report.approved:
                return ended(attempt, "refused")
            approval = Approval(decision_id=report.decision_id, approved_by=report.reviewed_by, reason=report.reason)
            return _waiting(attempt, report.reviewed_at)._replace(approval=approval)
        case ContactNotMadeV1():
            return _after_unused_permit(attempt, report, waits)
        case _:
            assert_never(report)


def _after_unused_permit(attempt: Attempt, report: ContactNotMadeV1, waits: Waits) -> Attempt:
    match report.reason:
        case "rejected" | "no_contact_point" | "template_failed":
            return ended(attempt, report.reason)
        case "revoked" | "permit_expired" | "stopped" | "no_provider":
            return _waiting(attempt, report.ended_at + waits.resubmit)
        case "shadow":
            return _taken(attempt, "shadowed")
        case _:
            assert_never(report.reason)


def _waiting(attempt: Attempt, until: datetime) -> Attempt:
    if attempt.submissions >= SUBMISSIONS_MAX:
        return ended(attempt, "submissions_exhausted")
    if until >= attempt.expires_at:
        return ended(attempt, "expired")
    return attempt._replace(state="planned", wanted=True, deferred_until=until, due_at=until)
