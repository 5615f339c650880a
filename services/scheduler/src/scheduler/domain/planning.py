"""The plan: for each group of loans the one next step, and whether what waits is still wanted.

A plan is a function of facts, of the steps already taken and of the instant. A step is kept only once it was handed
over: everything ahead follows from the strategy, so a payment or a new grade changes nothing that would have to be
undone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from scheduler.domain import confirmations, standing
from scheduler.domain.attempts import Attempt, Referral, Waits
from scheduler.domain.group_plan import GroupPlan, GroupPlanner
from scheduler.domain.profile import Profile
from scheduler.domain.strategy import StrategyBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """What planning goes by: the strategies and the settings beside them."""

    book: StrategyBook
    waits: Waits
    default_zone: str
    confirms_opt_outs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All that the scheduler holds of one borrower. `wake_at` is when it must be looked at again without an event."""

    profile: Profile
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    referrals: Mapping[str, Referral] = field(default_factory=dict)
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAttempts:
    """The plans of all groups of a borrower, by currency."""

    groups: Mapping[str, GroupPlan]
    look_again_at: datetime | None
    """When the plan may change by itself: a pause ends, a restriction begins, a referral falls due."""
    confirmation: Attempt | None = None
    """The confirmation of an opt-out that stands beside the groups."""

    @property
    def next_attempts(self) -> tuple[Attempt, ...]:
        """The next step of each group that has one, and a confirmation that nobody has seen yet."""
        steps = tuple(g.next_attempt for g in self.groups.values() if g.next_attempt is not None)
        confirmation = self.confirmation
        return (*steps, confirmation) if confirmation is not None and confirmation.unseen else steps

    def wants(self, attempt: Attempt) -> bool:
        """Whether an attempt that was handed over before may be handed over again as things stand."""
        if attempt.purpose == confirmations.PURPOSE:
            return self.confirmation is not None and self.confirmation.attempt_id == attempt.attempt_id
        group = self.groups.get(attempt.currency)
        return group is not None and group.wants(attempt)


def plan(dossier: Dossier, playbook: Playbook, now: datetime) -> PlannedAttempts:
    """The plan of a borrower at `now`, the same for the same facts in whatever order they came.

    It plans no step that was taken in its episode, none outside its lifetime, none on a channel where the borrower
    can't or won't be reached, and none before the lender has said who the borrower is.
    """
    profile = dossier.profile
    edge = standing.next_change(profile, now) if profile.circumstances else None
    if profile.person is None or not profile.loans:
        return PlannedAttempts(groups={}, look_again_at=edge)
    zone = standing.zone_of(profile, playbook.default_zone)
    today = standing.local_date(now, zone)
    attempts: Collection[Attempt] = dossier.attempts.values()
    confirmation = None
    if profile.circumstances:
        attempts = confirmations.of_steps(attempts)
        if playbook.confirms_opt_outs:
            confirmation = confirmations.confirmation(profile, dossier.attempts, zone, now)
    planner = GroupPlanner(
        profile=profile,
        attempts=attempts,
        referrals=dossier.referrals.values(),
        book=playbook.book,
        zone=zone,
        today=today,
        reachable=standing.reachable(profile, attempts, now),
    )
    groups = {g.currency: planner.plan(g, now) for g in standing.groups_of(profile, today, now)}
    edges = [e for e in (edge, *(g.look_again_at for g in groups.values())) if e is not None]
    return PlannedAttempts(groups=groups, look_again_at=min(edges, default=None), confirmation=confirmation)


def replan(dossier: Dossier, playbook: Playbook, now: datetime) -> tuple[Dossier, PlannedAttempts]:
    """`dossier` with the plan of `now`: the next steps in place of those nobody saw, and what waits marked."""
    planned = plan(dossier, playbook, now)
    attempts: dict[str, Attempt] = {}
    edges = [] if planned.look_again_at is None else [planned.look_again_at]
    for attempt in dossier.attempts.values():
        if not attempt.unseen:
            attempts[attempt.attempt_id] = marked = _marked(attempt, planned)
            if marked.state in ("planned", "held"):
                edges.append(marked.due_at if marked.state == "planned" and marked.wanted else marked.expires_at)
    for attempt in planned.next_attempts:
        attempts[attempt.attempt_id] = attempt
        edges.append(attempt.due_at)
    if any(g.due_referral is not None for g in planned.groups.values()):
        edges.append(now)
    current = Dossier(
        profile=dossier.profile, attempts=attempts, referrals=dossier.referrals, wake_at=min(edges, default=None)
    )
    return current, planned


def _marked(attempt: Attempt, planned: PlannedAttempts) -> Attempt:
    if not attempt.waits:
        return attempt
    wanted = planned.wants(attempt)
    return attempt if wanted == attempt.wanted else attempt._replace(wanted=wanted)
