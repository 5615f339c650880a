"""The plan: for each group of loans the one next step, and whether what waits is still wanted.

A plan is a function of facts, of the steps already taken and of the instant. Only the next step is kept as a row: the
rest of the path follows from the strategy, so a payment or a new grade changes nothing that would have to be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final
from zlib import crc32

from scheduler.domain import standing
from scheduler.domain.attempts import Attempt, Referral, Waits
from scheduler.domain.profile import Profile
from scheduler.domain.standing import FOREVER, Group
from scheduler.domain.strategy import (
    LoanShape,
    Path,
    ReferralStep,
    Step,
    StepChannel,
    Strategy,
    StrategyBook,
    half_hour_from,
    path_of,
    referral_time,
    step_times,
)
from shared import ids

_LIFETIME_DAYS_MAX: Final = 16
"""Longer than the lifetime that a strategy file may give; steps older than this are not looked at."""
_REPLY_KEY: Final = "reply-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """What planning goes by: the strategies and the settings beside them."""

    book: StrategyBook
    waits: Waits
    default_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All that the scheduler holds of one borrower. `wake_at` is when it must be looked at again without an event."""

    profile: Profile
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    referrals: Mapping[str, Referral] = field(default_factory=dict)
    wake_at: datetime | None = None


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
    next_attempt: Attempt | None
    open_steps: Mapping[str, Strategy]
    """The steps that may be taken as things stand: none while paused or after a referral."""
    due_referral: DueReferral | None
    look_again_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAttempts:
    """The plans of all groups of a borrower."""

    groups: tuple[GroupPlan, ...]
    look_again_at: datetime | None


def plan(dossier: Dossier, playbook: Playbook, now: datetime) -> PlannedAttempts:
    """The plan of a borrower at `now`, the same for the same facts in whatever order they came.

    It plans no step that was taken in its episode, none outside its lifetime, none on a channel where the borrower
    can't or won't be reached, and none before the lender has said who the borrower is.
    """
    profile = dossier.profile
    if profile.person is None or not profile.loans:
        return PlannedAttempts(groups=(), look_again_at=standing.next_change(profile, now))
    zone = standing.zone_of(profile, playbook.default_zone)
    today = standing.local_date(now, zone)
    reachable = _reachable(profile, dossier.attempts.values(), now)
    groups = tuple(
        _GroupPlanner(dossier, playbook.book, group, zone, today).plan(now, reachable)
        for group in standing.groups_of(profile, today, now)
    )
    edges = [standing.next_change(profile, now), *(g.look_again_at for g in groups)]
    return PlannedAttempts(groups=groups, look_again_at=min((e for e in edges if e is not None), default=None))


def _reachable(profile: Profile, attempts: Iterable[Attempt], now: datetime) -> frozenset[StepChannel]:
    channels: tuple[StepChannel, ...] = ("sms", "voice")
    return frozenset(c for c in channels if standing.contact_place(profile, attempts, c, now) is not None)


class _GroupPlanner:
    """One group's plan in the making: what its rules need in common, computed once."""

    def __init__(self, dossier: Dossier, book: StrategyBook, group: Group, zone: str, today: date) -> None:
        self.dossier, self.group, self.zone, self.today = dossier, group, zone, today
        demand = group.purpose == "demand"
        shapes = frozenset(
            LoanShape(
                size=book.grading.size(group.currency, loan.overdue_minor if demand else loan.next_due_minor),
                lag_days=(loan.overdue_since - group.episode).days if demand else 0,
            )
            for loan in group.loans
        )
        broken = standing.broken_promises(dossier.profile, group)
        self.path: Path = path_of(book, shapes, group.currency, broken)
        self.strategy = book.strategy_on((today - group.episode).days, shapes, broken)
        self.own = [a for a in dossier.attempts.values() if a.currency == group.currency and a.episode == group.episode]

    def plan(self, now: datetime, reachable: frozenset[StepChannel]) -> GroupPlan:
        paused_until = standing.paused_until(self.dossier.profile, self.group, self.strategy.reply_pauses, now)
        due_referral, next_referral_at = self._referral(now, paused=paused_until is not None)
        silent = paused_until is not None or due_referral is not None or self._handed_over()
        open_steps = {} if silent else self._open_steps(reachable)
        next_attempt = self._next_attempt(open_steps, now) if open_steps else None
        edges = [paused_until if paused_until != FOREVER else None, next_referral_at, self._next_group_at()]
        return GroupPlan(
            group=self.group,
            next_attempt=next_attempt,
            open_steps=open_steps,
            due_referral=due_referral,
            look_again_at=min((e for e in edges if e is not None), default=None),
        )

    def _open_steps(self, reachable: frozenset[StepChannel]) -> dict[str, Strategy]:
        asked_minor, currency = self.group.asked_minor, self.group.currency
        return {
            step.key: strategy
            for step, strategy in self.path.steps
            if step.purpose == self.group.purpose
            and step.channel in reachable
            and strategy.is_worth_asking(currency, asked_minor)
        }

    def _next_attempt(self, open_steps: Mapping[str, Strategy], now: datetime) -> Attempt | None:
        number = standing.plan_number(self.dossier.profile, self.group, now)
        taken = {a.step_key for a in self.own if not a.unseen and (a.state != "ended" or a.plan_number >= number)}
        made_up_to = max((a.planned_for for a in self.own if a.state in ("submitted", "made", "unknown")), default=None)
        last_submitted_at = max(
            (a.submitted_at for a in self.dossier.attempts.values() if a.submitted_at), default=None
        )
        first_day = (self.today - self.group.episode).days - _LIFETIME_DAYS_MAX
        for step, strategy in self.path.steps:
            if step.day < first_day or step.key in taken or step.key not in open_steps:
                continue
            seat = crc32(f"{self.dossier.profile.borrower_id}/{step.key}".encode())
            planned_for, expires_at = step_times(step, self.group.episode, self.zone, seat % len(step.local_hours))
            if made_up_to is not None and planned_for < made_up_to:
                continue
            due_at = planned_for
            if last_submitted_at is not None:
                due_at = max(due_at, half_hour_from(last_submitted_at + timedelta(hours=strategy.spacing_hours)))
            if expires_at > now and due_at < expires_at:
                return self._attempt(step, strategy, number, (planned_for, due_at, expires_at))
        return None

    def _attempt(
        self, step: Step, strategy: Strategy, number: int, times: tuple[datetime, datetime, datetime]
    ) -> Attempt:
        planned_for, due_at, expires_at = times
        known = next((a for a in self.own if a.step_key == step.key and a.plan_number == number), None)
        attempt_id = (
            known.attempt_id
            if known is not None
            else ids.attempt_id(
                borrower_id=self.dossier.profile.borrower_id,
                currency=self.group.currency,
                episode=self.group.episode.isoformat(),
                step_key=step.key,
                plan_number=number,
            )
        )
        attempt = Attempt(
            attempt_id=attempt_id,
            currency=self.group.currency,
            episode=self.group.episode,
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
        assert attempt.due_at < attempt.expires_at, "an attempt is due inside its lifetime"
        return known if known == attempt else attempt

    def _referred_keys(self) -> set[str]:
        group = self.group
        return {
            r.step_key
            for r in self.dossier.referrals.values()
            if r.currency == group.currency and r.episode == group.episode
        }

    def _handed_over(self) -> bool:
        """Whether the path itself ended in other hands; a reply's referral is silent only as long as its pause."""
        return any(not key.startswith(_REPLY_KEY) for key in self._referred_keys())

    def _referral(self, now: datetime, *, paused: bool) -> tuple[DueReferral | None, datetime | None]:
        """The referral to record now, and when the next one of the path comes."""
        recorded = self._referred_keys()
        if self.group.purpose != "demand":
            return None, None
        pauses = self.strategy.reply_pauses
        for reply, pause in standing.replies_that_pause(self.dossier.profile, self.group, pauses):
            key = _REPLY_KEY + reply.detail
            if pause.referral is not None and key not in recorded:
                step = ReferralStep(
                    key=key, day=0, target=pause.referral, reason=f"the borrower replied: {reply.detail}"
                )
                return DueReferral(group=self.group, step=step, strategy=self.strategy), None
        if paused:
            return None, None
        return self._path_referral(recorded, now)

    def _path_referral(self, recorded: set[str], now: datetime) -> tuple[DueReferral | None, datetime | None]:
        due: DueReferral | None = None
        for step, strategy in self.path.referrals:
            at = referral_time(step, self.group.episode, self.zone)
            if at > now:
                return due, at
            if step.key in recorded:
                due = None
            elif strategy.is_worth_asking(self.group.currency, self.group.asked_minor):
                due = DueReferral(group=self.group, step=step, strategy=strategy)
        return due, None

    def _next_group_at(self) -> datetime | None:
        day = self.group.next_group_on
        return None if day is None else standing.local_midnight(day, self.zone)


def replan(dossier: Dossier, playbook: Playbook, now: datetime) -> tuple[Dossier, PlannedAttempts]:
    """`dossier` with the plan of `now`: the next steps in place of those nobody saw, and what waits marked."""
    planned = plan(dossier, playbook, now)
    by_currency = {g.group.currency: g for g in planned.groups}
    attempts = {
        a.attempt_id: _marked(a, by_currency.get(a.currency)) for a in dossier.attempts.values() if not a.unseen
    }
    for group in planned.groups:
        if group.next_attempt is not None:
            attempts[group.next_attempt.attempt_id] = group.next_attempt
    wake_at = min(
        (at for at in (planned.look_again_at, *map(_wakes_at, attempts.values())) if at is not None), default=None
    )
    if any(g.due_referral is not None for g in planned.groups):
        wake_at = now if wake_at is None else min(wake_at, now)
    return replace(dossier, attempts=attempts, wake_at=wake_at), planned


def _marked(attempt: Attempt, group: GroupPlan | None) -> Attempt:
    if not attempt.waits:
        return attempt
    wanted = group is not None and group.group.episode == attempt.episode and attempt.step_key in group.open_steps
    return attempt if wanted == attempt.wanted else replace(attempt, wanted=wanted)


def _wakes_at(attempt: Attempt) -> datetime | None:
    match attempt.state:
        case "planned":
            return attempt.due_at if attempt.wanted else attempt.expires_at
        case "held":
            return attempt.expires_at
        case _:
            return None
