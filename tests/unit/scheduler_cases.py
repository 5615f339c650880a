"""Facts and reports for the scheduler's tests, in the words of the contracts, with hand-made times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from scheduler.adapters.strategy_files import read_book
from scheduler.domain.attempts import Attempt, Report, Waits, after_report
from scheduler.domain.planning import Dossier, Playbook, replan
from scheduler.domain.profile import Profile, with_fact
from scheduler.domain.releasing import Released, release
from scheduler.settings import SHIPPED_STRATEGIES
from shared import contracts
from shared.contracts import Amounts, AttemptSubmittedV1, Message
from shared.contracts.loan_events import ContactPoint

BORROWER = "b-1"
DUE_ON = date(2026, 9, 10)
PLAYBOOK = Playbook(
    book=read_book(SHIPPED_STRATEGIES),
    waits=Waits(ask_again=timedelta(minutes=15), resubmit=timedelta(minutes=15)),
    default_zone="Asia/Shanghai",
)


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant of September 2026 in UTC (October from day 31 on)."""
    return datetime(2026, 9, 1, hour, minute, tzinfo=UTC) + timedelta(days=day - 1)


def borrower(**changes: Any) -> contracts.BorrowerUpdatedV1:
    point = ContactPoint(contact_point_id="cp-1", kind="mobile", value="+8613800138000")
    fields: dict[str, Any] = {
        "borrower_id": BORROWER,
        "name": "x",
        "language": "zh",
        "region": "CN",
        "zones": ("Asia/Shanghai",),
        "contact_points": (point,),
    }
    return contracts.BorrowerUpdatedV1(**(fields | changes))


def balance(version: int = 1, *, overdue_minor: int = 250_000, **changes: Any) -> contracts.BalanceChangedV1:
    fields: dict[str, Any] = {
        "borrower_id": BORROWER,
        "loan_id": "l-1",
        "currency": "CNY",
        "balance_version": version,
        "overdue": Amounts(principal_minor=overdue_minor),
        "outstanding": Amounts(principal_minor=overdue_minor + 1_000_000),
        "oldest_unpaid_due_on": DUE_ON if overdue_minor else None,
        "next_due_on": None,
        "next_due": Amounts(),
        "closed": False,
        "as_of": at(11),
        "cause": "snapshot",
    }
    return contracts.BalanceChangedV1(**(fields | changes))


def restriction(kind: str = "dispute", *, active: bool = True, **changes: Any) -> contracts.RestrictionChangedV1:
    fields: dict[str, Any] = {
        "borrower_id": BORROWER,
        "restriction_id": "r-1",
        "kind": kind,
        "active": active,
        "effective_from": at(1),
    }
    return contracts.RestrictionChangedV1(**(fields | changes))


def opt_out(channel: str = "sms", *, in_force: bool = True, **changes: Any) -> contracts.ConsentChangedV1:
    fields: dict[str, Any] = {
        "borrower_id": BORROWER,
        "consent_id": f"c-{channel}",
        "kind": "opt_out",
        "in_force": in_force,
        "effective_from": at(1),
        "channel": channel,
    }
    return contracts.ConsentChangedV1(**(fields | changes))


def reply(intent: str, *, received_at: datetime, **changes: Any) -> contracts.ReplyReceivedV1:
    fields: dict[str, Any] = {
        "borrower_id": BORROWER,
        "reply_id": f"reply-{intent}",
        "channel": "sms",
        "received_at": received_at,
        "intent": intent,
    }
    return contracts.ReplyReceivedV1(**(fields | changes))


def promise(state: str, *, on: datetime, grace_ends_at: datetime, **changes: Any) -> contracts.PromiseState:
    types = {
        "opened": contracts.PromiseOpenedV1,
        "kept": contracts.PromiseKeptV1,
        "partly_kept": contracts.PromisePartlyKeptV1,
        "broken": contracts.PromiseBrokenV1,
    }
    fields: dict[str, Any] = {
        "borrower_id": BORROWER,
        "promise_id": "p-1",
        "loans": ("l-1",),
        "currency": "CNY",
        "promised_minor": 1000,
        "promised_on": grace_ends_at.date(),
        "grace_ends_at": grace_ends_at,
        "paid_minor": 0,
        "at": on,
    }
    return types[state](**(fields | changes))


@dataclass
class Desk:
    """One borrower's dossier as the service would hold it, driven by hand."""

    dossier: Dossier = field(default_factory=lambda: Dossier(profile=Profile(borrower_id=BORROWER)))
    playbook: Playbook = PLAYBOOK

    def learns(self, *facts: Message, now: datetime, ce_time: datetime | None = None) -> Desk:
        """Apply `facts` and plan anew."""
        profile = self.dossier.profile
        for fact in facts:
            order = (ce_time or now, f"core\x1f{fact!r}")
            profile = with_fact(profile, fact, order)  # type: ignore[arg-type]
        self.dossier, _ = replan(replace(self.dossier, profile=profile), self.playbook, now)
        return self

    def hears(self, report: Report, *, now: datetime) -> Desk:
        """Apply one report about an attempt and plan anew."""
        known = self.dossier.attempts[report.attempt_id]
        changed = after_report(known, report, self.playbook.waits)
        attempts = {**self.dossier.attempts, known.attempt_id: changed}
        self.dossier, _ = replan(replace(self.dossier, attempts=attempts), self.playbook, now)
        return self

    def releases(self, *, now: datetime) -> Released:
        """Release what is due."""
        released = release(self.dossier, self.playbook, now)
        self.dossier = released.dossier
        return released

    @property
    def planned(self) -> list[Attempt]:
        """Attempts that wait for their time."""
        return [a for a in self.dossier.attempts.values() if a.state == "planned" and a.wanted]

    def attempt(self, attempt_id: str) -> Attempt:
        """One attempt as it stands."""
        return self.dossier.attempts[attempt_id]


def submitted_once(*, now: datetime | None = None) -> tuple[Desk, AttemptSubmittedV1]:
    """A borrower one day past due whose first step was handed over."""
    desk = Desk().learns(borrower(), balance(), now=at(10, 20))
    released = desk.releases(now=now or at(11, 9))
    return desk, released.submissions[0]


def _decision(submission: AttemptSubmittedV1, decided_at: datetime) -> dict[str, Any]:
    return {
        "borrower_id": submission.borrower_id,
        "attempt_id": submission.attempt_id,
        "submission_number": submission.submission_number,
        "decision_id": f"d-{submission.submission_number}",
        "borrower_sequence": 1,
        "decided_at": decided_at,
        "policy_hash": "h",
        "rules": (),
    }


def deferred(submission: AttemptSubmittedV1, *, on: datetime, until: datetime | None) -> contracts.ContactDeferredV1:
    return contracts.ContactDeferredV1(**_decision(submission, on), next_legal_instant=until)


def denied(submission: AttemptSubmittedV1, *, on: datetime) -> contracts.ContactDeniedV1:
    return contracts.ContactDeniedV1(**_decision(submission, on), reason="no")


def held(submission: AttemptSubmittedV1, *, on: datetime) -> contracts.ContactHeldV1:
    return contracts.ContactHeldV1(**_decision(submission, on), reason="look")


def reviewed(submission: AttemptSubmittedV1, *, on: datetime, approved: bool) -> contracts.HeldReviewedV1:
    return contracts.HeldReviewedV1(
        borrower_id=submission.borrower_id,
        decision_id=f"d-{submission.submission_number}",
        attempt_id=submission.attempt_id,
        submission_number=submission.submission_number,
        approved=approved,
        reviewed_by="ann",
        reason="looked",
        reviewed_at=on,
    )


def _end(submission: AttemptSubmittedV1) -> dict[str, Any]:
    return {
        "borrower_id": submission.borrower_id,
        "attempt_id": submission.attempt_id,
        "submission_number": submission.submission_number,
        "decision_id": f"d-{submission.submission_number}",
        "channel": submission.channel,
        "contact_point_id": submission.contact_point_id,
        "loans": tuple(loan.loan_id for loan in submission.loans),
        "provider": "p",
    }


def made(submission: AttemptSubmittedV1, *, on: datetime) -> contracts.ContactMadeV1:
    return contracts.ContactMadeV1(**_end(submission), made_at=on)


def unknown(submission: AttemptSubmittedV1, *, on: datetime) -> contracts.ContactUnknownV1:
    return contracts.ContactUnknownV1(**_end(submission), sent_at=on)


def not_made(submission: AttemptSubmittedV1, *, on: datetime, reason: Any) -> contracts.ContactNotMadeV1:
    return contracts.ContactNotMadeV1(**_end(submission), reason=reason, ended_at=on)
