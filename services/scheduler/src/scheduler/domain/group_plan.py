"""One group's plan: its next step, what may still be taken, and where its path is handed over."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zlib import crc32

from scheduler.domain import standing
from scheduler.domain.attempts import TAKEN, Attempt, Referral
from scheduler.domain.profile import Loan, Profile
from scheduler.domain.standing import FOREVER, Group
from scheduler.domain.strategy import (
    LoanShape,
    Path,
    ReferralStep,
    Step,
    StepChannel,
    Strategy,
    StrategyBook,
    path_of,
    preferred_from,
    referral_time,
    step_times,
)
from shared import ids

_LIFETIME_DAYS_MAX: Final = 16
"""Longer than the lifetime that a strategy file may give; steps older than this are not looked at."""
_REPLY_KEY: Final = "reply-"


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReferral:
    """A hand-over that should be recorded now."""

    group: Group
    step: ReferralStep
    strategy: Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlan:
    """What one group's plan says at an instant."""

    group: Group
    path: Path
    silent: bool
    """Paused, or in other hands: no step may be taken."""
    reachable: frozenset[StepChannel]
    next_attempt: Attempt | None
    due_referral: DueReferral | None
    look_again_at: datetime | None

    def wants(self, attempt: Attempt) -> bool:
        """Whether an attempt that was handed over before may be handed over again as things stand."""
        entry = self.path.by_key.get(attempt.step_key)
        if self.silent or entry is None or attempt.episode != self.group.episode:
            return False
        return may_take(entry, self.group, self.reachable)


def may_take(entry: tuple[Step, Strategy], group: Group, reachable: frozenset[StepChannel]) -> bool:
    """Whether a step of the path fits the group's purpose, a channel that is open, and an amount worth a contact."""
    step, strategy = entry
    return (
        step.purpose == group.purpose
        and step.channel in reachable
        and strategy.is_worth_asking(group.currency, group.asked_minor)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlanner:
    """Plans the groups of one borrower at one instant."""

    profile: Profile
    attempts: Collection[Attempt]
    referrals: Collection[Referral]
    book: StrategyBook
    zone: str
    today: date
    reachable: frozenset[StepChannel]

    def plan(self, group: Group, now: datetime) -> GroupPlan:
        """The plan of `group` at `now`."""
        shapes = frozenset(self._shape(group, loan) for loan in group.loans)
        told = bool(self.profile.circumstances)
        broken = standing.broken_promises(self.profile, group) if told else 0
        path = path_of(self.book, shapes, group.currency, broken)
        paused_until, due = None, None
        recorded = {r.step_key for r in self.referrals if r.currency == group.currency and r.episode == group.episode}
        if told:
            strategy = self.book.strategy_on((self.today - group.episode).days, shapes, broken)
            paused_until = standing.paused_until(self.profile, group, strategy.reply_pauses, now)
            due = self._reply_referral(group, strategy, recorded)
        edges = [] if paused_until is None or paused_until == FOREVER else [paused_until]
        if paused_until is None and group.purpose == "demand":
            due, next_at = self._path_referral(group, path, recorded, now)
            edges += [] if next_at is None else [next_at]
        if group.next_group_on is not None:
            edges.append(standing.local_midnight(group.next_group_on, self.zone))
        handed_over = any(not key.startswith(_REPLY_KEY) for key in recorded)
        silent = paused_until is not None or due is not None or handed_over
        return GroupPlan(
            group=group,
            path=path,
            silent=silent,
            reachable=self.reachable,
            next_attempt=None if silent else self._next_attempt(group, path, now),
            due_referral=due,
            look_again_at=min(edges, default=None),
        )

    def _shape(self, group: Group, loan: Loan) -> LoanShape:
        demand = group.purpose == "demand"
        size = self.book.grading.size(group.currency, loan.overdue_minor if demand else loan.next_due_minor)
        return LoanShape(size, (loan.overdue_since - group.episode).days if demand else 0)

    def _next_attempt(self, group: Group, path: Path, now: datetime) -> Attempt | None:
        """The earliest step that is not taken, not over, and not older than one that was made."""
        own = [a for a in self.attempts if a.currency == group.currency and a.episode == group.episode]
        number = standing.plan_number(self.profile, group, now) if self.profile.circumstances else 1
        taken = {a.step_key for a in own if not a.unseen and (a.state != "ended" or a.plan_number >= number)}
        made_up_to = max((a.planned_for for a in own if a.state == "submitted" or a.state in TAKEN), default=None)
        last_submitted_at = max((a.submitted_at for a in self.attempts if a.submitted_at is not None), default=None)
        first_day = (self.today - group.episode).days - _LIFETIME_DAYS_MAX
        for entry in path.steps[bisect_left(path.days, first_day) :]:
            step, strategy = entry
            if step.key in taken or not may_take(entry, group, self.reachable):
                continue
            seat = crc32(f"{self.profile.borrower_id}/{step.key}".encode()) % len(step.local_hours)
            planned_for, expires_at = step_times(step, group.episode, self.zone, seat)
            if expires_at <= now or (made_up_to is not None and planned_for < made_up_to):
                continue
            due_at = planned_for
            if last_submitted_at is not None:
                earliest = last_submitted_at + timedelta(hours=strategy.spacing_hours)
                due_at = planned_for if earliest <= planned_for else preferred_from(step, self.zone, earliest)
            if due_at < expires_at:
                return self._attempt(group, entry, (number, planned_for, due_at, expires_at))
        return None

    def _attempt(
        self, group: Group, entry: tuple[Step, Strategy], when: tuple[int, datetime, datetime, datetime]
    ) -> Attempt:
        """The attempt for a step, the same in every plan that has the step at these times."""
        (step, strategy), (number, planned_for, due_at, expires_at) = entry, when
        attempt_id = ids.attempt_id(
            borrower_id=self.profile.borrower_id,
            currency=group.currency,
            episode=group.episode.isoformat(),
            step_key=step.key,
            plan_number=number,
        )
        return Attempt(
            attempt_id=attempt_id,
            currency=group.currency,
            episode=group.episode,
            plan_number=number,
            step_key=step.key,
            strategy=strategy.name,
            strategy_hash=strategy.content_hash,
            grade=strategy.grade,
            purpose=step.purpose,
            channel=step.channel,
            template=step.template,
            planned_for=planned_for,
            due_at=due_at,
            expires_at=expires_at,
        )

    def _reply_referral(self, group: Group, strategy: Strategy, recorded: set[str]) -> DueReferral | None:
        """The referral that a reply asks for and that this episode has not seen."""
        if group.purpose != "demand":
            return None
        for reply, pause in standing.replies_that_pause(self.profile, group, strategy.reply_pauses):
            key, reason = _REPLY_KEY + reply.detail, f"the borrower replied: {reply.detail}"
            if pause.referral is not None and key not in recorded:
                step = ReferralStep(key=key, day=0, target=pause.referral, reason=reason)
                return DueReferral(group=group, step=step, strategy=strategy)
        return None

    def _path_referral(
        self, group: Group, path: Path, recorded: set[str], now: datetime
    ) -> tuple[DueReferral | None, datetime | None]:
        """The last referral of the path that is due and not recorded, and when the next one comes."""
        due: DueReferral | None = None
        for step, strategy in path.referrals:
            at = referral_time(step, group.episode, self.zone)
            if at > now:
                return due, at
            if step.key in recorded:
                due = None
            elif strategy.is_worth_asking(group.currency, group.asked_minor):
                due = DueReferral(group=group, step=step, strategy=strategy)
        return due, None
