"""What is due at an instant leaves: attempts to the gate with fresh amounts, referrals to the record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain import confirmations, standing
from scheduler.domain.attempts import Attempt, Referral, ended
from scheduler.domain.group_plan import DueReferral
from scheduler.domain.planning import Dossier, PlannedAttempts, Playbook, replan
from scheduler.domain.standing import Group
from shared import ids
from shared.contracts.attempts import AttemptLoan, AttemptSubmittedV1, ReferralRecordedV1

LOANS_MAX: Final = 64
"""The contract's bound on the loans of one attempt; the oldest ones go first."""
_MOVES_MAX: Final = 256
"""So many moves of one borrower in one release; what is left waits a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A borrower after a release, with what left."""

    dossier: Dossier
    submissions: tuple[AttemptSubmittedV1, ...] = ()
    referrals: tuple[ReferralRecordedV1, ...] = ()
    ended: tuple[Attempt, ...] = ()
    """Attempts whose time ran out: none of them disappears in silence."""


def release(dossier: Dossier, playbook: Playbook, now: datetime) -> Released:
    """Do everything that is due at `now`, one move after the other, each on the plan that the one before left.

    The dossier that comes back has nothing due: its `wake_at` lies after `now`.
    """
    submissions: list[AttemptSubmittedV1] = []
    referrals: list[ReferralRecordedV1] = []
    over: list[Attempt] = []
    current, planned = replan(dossier, playbook, now)
    for _ in range(_MOVES_MAX):
        if current.wake_at is None or current.wake_at > now:
            break
        if expired := _expired(current, now):
            over += expired
            current = _with_attempts(current, expired)
        elif due_referral := _due_referral(planned):
            current, recorded = _record(current, due_referral, now)
            referrals.append(recorded)
        else:
            due = (a for a in current.attempts.values() if a.state == "planned" and a.wanted and a.due_at <= now)
            current, submission = _submit(current, min(due, key=_in_order), planned, playbook, now)
            submissions.append(submission)
        current, planned = replan(current, playbook, now)
    else:
        current = replace(current, wake_at=now + timedelta(minutes=1))
    return Released(dossier=current, submissions=tuple(submissions), referrals=tuple(referrals), ended=tuple(over))


def _expired(dossier: Dossier, now: datetime) -> list[Attempt]:
    over = (a for a in dossier.attempts.values() if a.state in ("planned", "held") and a.expires_at <= now)
    return [ended(a, "expired" if a.wanted else "not_wanted") for a in sorted(over, key=_in_order)]


def _due_referral(planned: PlannedAttempts) -> DueReferral | None:
    return next((g.due_referral for g in planned.groups.values() if g.due_referral is not None), None)


def _with_attempts(dossier: Dossier, changed: Iterable[Attempt]) -> Dossier:
    return replace(dossier, attempts={**dossier.attempts, **{a.attempt_id: a for a in changed}})


def _in_order(attempt: Attempt) -> tuple[datetime, str]:
    return attempt.due_at, attempt.attempt_id


def _submit(
    dossier: Dossier, attempt: Attempt, planned: PlannedAttempts, playbook: Playbook, now: datetime
) -> tuple[Dossier, AttemptSubmittedV1]:
    person = dossier.profile.person
    assert person is not None, "nothing is planned before the lender said who the borrower is"
    if attempt.purpose == confirmations.PURPOSE:
        contact_point_id, loans = attempt.contact_point_id, _confirmed_loans(dossier)
    else:
        place = standing.contact_place(dossier.profile, dossier.attempts.values(), attempt.channel, now)
        assert place is not None, "only what can be reached is wanted"
        zone = standing.zone_of(dossier.profile, playbook.default_zone)
        contact_point_id = place.contact_point_id
        loans = tuple(_loans(planned.groups[attempt.currency].group, now, zone))
    assert contact_point_id is not None, "a confirmation goes to the number that said stop"
    submitted = attempt._replace(
        state="submitted",
        submissions=attempt.submissions + 1,
        submitted_at=now,
        contact_point_id=contact_point_id,
    )
    message = AttemptSubmittedV1(
        borrower_id=dossier.profile.borrower_id,
        attempt_id=attempt.attempt_id,
        submission_number=submitted.submissions,
        submitted_at=now,
        expires_at=attempt.expires_at,
        purpose=attempt.purpose,
        channel=attempt.channel,
        contact_point_id=contact_point_id,
        currency=attempt.currency,
        loans=loans,
        template=attempt.template,
        language=person.language,
        risk_grade=attempt.grade,
        strategy=attempt.strategy,
        strategy_hash=attempt.strategy_hash,
        step_key=attempt.step_key,
        approval=attempt.approval,
    )
    return _with_attempts(dossier, (submitted,)), message


def _confirmed_loans(dossier: Dossier) -> tuple[AttemptLoan, ...]:
    """The loans that the stopped contact was about. The confirmation asks for nothing."""
    stop = confirmations.stop_of(dossier.profile)
    return tuple(
        AttemptLoan(
            loan_id=loan.loan_id,
            balance_version=loan.balance_version,
            overdue_minor=loan.overdue_minor,
            due_minor=0,
            due_on=loan.overdue_since,
            days_past_due=0,
        )
        for loan in confirmations.loans_of(dossier.profile, stop)[:LOANS_MAX]
    )


def _loans(group: Group, now: datetime, zone: str) -> Iterator[AttemptLoan]:
    today = standing.local_date(now, zone)
    for loan in group.loans[:LOANS_MAX]:
        demand = group.purpose == "demand"
        due_on = loan.overdue_since if demand else group.episode
        yield AttemptLoan(
            loan_id=loan.loan_id,
            balance_version=loan.balance_version,
            overdue_minor=loan.overdue_minor,
            due_minor=loan.overdue_minor if demand else loan.next_due_minor,
            due_on=due_on,
            days_past_due=(today - due_on).days,
        )


def _record(dossier: Dossier, due: DueReferral, now: datetime) -> tuple[Dossier, ReferralRecordedV1]:
    group = due.group
    referral = Referral(
        referral_id=ids.derive(
            "referral", dossier.profile.borrower_id, group.currency, group.episode.isoformat(), due.step.key
        ),
        currency=group.currency,
        episode=group.episode,
        step_key=due.step.key,
        target=due.step.target,
        referred_at=now,
    )
    message = ReferralRecordedV1(
        borrower_id=dossier.profile.borrower_id,
        referral_id=referral.referral_id,
        target=referral.target,
        loans=tuple(loan.loan_id for loan in group.loans),
        strategy=due.strategy.name,
        step_key=referral.step_key,
        referred_at=now,
        reason=due.step.reason,
    )
    referrals = {**dossier.referrals, referral.referral_id: referral}
    return replace(dossier, referrals=referrals), message
