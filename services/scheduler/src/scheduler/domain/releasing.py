"""What is due at an instant leaves: attempts to the gate with fresh amounts, referrals to the record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain import standing
from scheduler.domain.attempts import Attempt, Referral, ended
from scheduler.domain.planning import Dossier, DueReferral, PlannedAttempts, Playbook, replan
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
    left = Released(dossier=dossier)
    for _ in range(_MOVES_MAX):
        current, planned = replan(left.dossier, playbook, now)
        left = replace(left, dossier=current)
        moved = _move(left, planned, playbook, now)
        if moved is None:
            assert current.wake_at is None or current.wake_at > now, "a release leaves nothing that is due"
            return left
        left = moved
    current, _ = replan(left.dossier, playbook, now)
    return replace(left, dossier=replace(current, wake_at=now + timedelta(minutes=1)))


def _move(left: Released, planned: PlannedAttempts, playbook: Playbook, now: datetime) -> Released | None:
    dossier = left.dossier
    over = [a for a in dossier.attempts.values() if a.state in ("planned", "held") and a.expires_at <= now]
    if over:
        over = [ended(a, "expired" if a.wanted else "not_wanted") for a in sorted(over, key=_in_order)]
        attempts = {**dossier.attempts, **{a.attempt_id: a for a in over}}
        return replace(left, dossier=replace(dossier, attempts=attempts), ended=(*left.ended, *over))
    for group in planned.groups:
        if group.due_referral is not None:
            return _record(left, group.due_referral, now)
    due = [a for a in dossier.attempts.values() if a.state == "planned" and a.wanted and a.due_at <= now]
    return _submit(left, min(due, key=_in_order), planned, playbook, now) if due else None


def _in_order(attempt: Attempt) -> tuple[datetime, str]:
    return attempt.due_at, attempt.attempt_id


def _submit(left: Released, attempt: Attempt, planned: PlannedAttempts, playbook: Playbook, now: datetime) -> Released:
    dossier = left.dossier
    person = dossier.profile.person
    place = standing.contact_place(dossier.profile, dossier.attempts.values(), attempt.channel, now)
    group = next(g.group for g in planned.groups if g.group.currency == attempt.currency)
    assert person is not None, "nothing is planned before the lender said who the borrower is"
    assert place is not None, "only what can be reached is wanted"
    submitted = replace(
        attempt,
        state="submitted",
        submissions=attempt.submissions + 1,
        submitted_at=now,
        contact_point_id=place.contact_point_id,
    )
    zone = standing.zone_of(dossier.profile, playbook.default_zone)
    message = AttemptSubmittedV1(
        borrower_id=dossier.profile.borrower_id,
        attempt_id=attempt.attempt_id,
        submission_number=submitted.submissions,
        submitted_at=now,
        expires_at=attempt.expires_at,
        purpose=attempt.purpose,
        channel=attempt.channel,
        contact_point_id=place.contact_point_id,
        currency=attempt.currency,
        loans=tuple(_loans(group, now, zone)),
        template=attempt.template,
        language=person.language,
        risk_grade=attempt.grade,
        strategy=attempt.strategy,
        strategy_hash=attempt.strategy_hash,
        step_key=attempt.step_key,
        approval=attempt.approval,
    )
    attempts = {**dossier.attempts, attempt.attempt_id: submitted}
    return replace(left, dossier=replace(dossier, attempts=attempts), submissions=(*left.submissions, message))


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


def _record(left: Released, due: DueReferral, now: datetime) -> Released:
    dossier, group = left.dossier, due.group
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
    return replace(left, dossier=replace(dossier, referrals=referrals), referrals=(*left.referrals, message))
