"""Lender and borrowers of one run, put together: what they publish and send at each tick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from decorum_simulation.agenda import Agenda, rounded_up
from decorum_simulation.borrowers.purses import Purses
from decorum_simulation.borrowers.world import BorrowerWorld
from decorum_simulation.carrier.exchange import Delivery, Inbound
from decorum_simulation.conditions import USUAL, Conditions
from decorum_simulation.draws import chance, integer
from decorum_simulation.lender.accounts import Replay, publish_history, replays
from decorum_simulation.lender.core import AMERICAN_BOOKS, LenderCore
from decorum_simulation.lender.events import LenderEvent
from decorum_simulation.lender.happenings import Happenings
from decorum_simulation.lender.people import SHANGHAI
from decorum_simulation.lender.portfolio import synthetic_accounts

DAILY_RUN = time(6)
DUPLICATED_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate. `portfolio` replays the real accounts of a file instead of synthetic ones."""

    borrowers: int
    start: datetime
    end: datetime
    tick: timedelta
    seed: int
    portfolio: Path | None = None
    limit: int | None = None
    conditions: Conditions = USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What lender and borrowers did at an instant."""

    events: list[LenderEvent] = field(default_factory=list)
    inbound: list[Inbound] = field(default_factory=list)

    def divided(self, comes_later: Callable[[str], bool]) -> tuple[News, News]:
        """What comes first and what later: all events of a borrower, and all that is said from a number, together."""
        of_borrower = {b: comes_later(b) for b in {event.message.borrower_id for event in self.events}}
        of_number = {number: comes_later(number) for number in {inbound.sender for inbound in self.inbound}}
        first, later = (
            News(
                events=[event for event in self.events if of_borrower[event.message.borrower_id] is late],
                inbound=[inbound for inbound in self.inbound if of_number[inbound.sender] is late],
            )
            for late in (False, True)
        )
        return first, later


@dataclass(slots=True, kw_only=True)
class VirtualWorld:
    """Driven by `react` (what the carrier brought) and `live` (a tick); everything follows from the plan's seed."""

    plan: Plan
    core: LenderCore = field(default_factory=LenderCore)
    agenda: Agenda = field(init=False)
    borrowers: BorrowerWorld = field(init=False)
    _purses: Purses = field(init=False)
    _repeats: list[LenderEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        plan = self.plan
        self.agenda = Agenda(plan.tick)
        self._purses = Purses(core=self.core, agenda=self.agenda, seed=plan.seed, mishaps=plan.portfolio is None)
        self.borrowers = BorrowerWorld(core=self.core, agenda=self.agenda, purses=self._purses, seed=plan.seed)
        happenings = Happenings(core=self.core, agenda=self.agenda, seed=plan.seed, start=plan.start, end=plan.end)
        if plan.portfolio is None:
            day = plan.start.astimezone(ZoneInfo(SHANGHAI)).date()
            shared = plan.conditions.family_share
            for account in synthetic_accounts(plan.borrowers, seed=plan.seed, start=day, family_share=shared):
                self.core.enrol(account.person, account.loans, plan.start)
                self.borrowers.settle(account, plan.start, plan.end, pays_by_itself=True)
                happenings.plan(account, shares_number=self.borrowers.shares_number(account))
        else:
            for replay in replays(plan.portfolio, plan.limit, seed=plan.seed, start=plan.start):
                self._enrol_replay(replay, happenings)
        for zone in (SHANGHAI, AMERICAN_BOOKS):
            self._plan_daily_runs(zone)

    def _enrol_replay(self, replay: Replay, happenings: Happenings) -> None:
        plan, account = self.plan, replay.account
        self.core.enrol(account.person, account.loans, plan.start)
        publish_history(replay, self.core, seed=plan.seed, start=plan.start)
        self.borrowers.settle(account, plan.start, plan.end, pays_by_itself=False)
        happenings.plan(account)
        loan = account.loans[0]
        self._purses.left_minor[loan.loan_id] = replay.pays_minor
        if replay.pays_minor:
            self.agenda.add(
                replay.pays_at,
                f"replayed {loan.loan_id}",
                lambda now: None if loan.closed else self._spend(replay, now),
            )
        next_month = (replay.pays_at.replace(day=1) + timedelta(days=32)).replace(day=1, hour=6)
        if replay.pays_next_month:
            self.agenda.add(next_month, f"wages {loan.loan_id}", partial(self._refill, replay))

    def _spend(self, replay: Replay, now: datetime) -> None:
        loan = replay.account.loans[0]
        self._purses.pay(loan, self._purses.left_minor[loan.loan_id], now, cause="replayed payment")

    def _refill(self, replay: Replay, now: datetime) -> None:
        """The account that didn't miss its next payment has the means for it, and pays it on its usual day."""
        loan = replay.account.loans[0]
        today = self.core.today(loan, now)
        self._purses.left_minor[loan.loan_id] = loan.overdue(today).total_minor + loan.next_due(today)[1].total_minor
        at = now + timedelta(days=integer(1, 19, self.plan.seed, loan.loan_id, "next payment"), hours=5)
        self.agenda.add(at, f"next payment {loan.loan_id}", partial(self._spend, replay))

    def _plan_daily_runs(self, zone: str) -> None:
        day = self.plan.start.astimezone(ZoneInfo(zone)).date()
        while (at := datetime.combine(day, DAILY_RUN, ZoneInfo(zone))) < self.plan.end:
            if at > self.plan.start:
                american = zone == AMERICAN_BOOKS
                run = partial(self.core.daily_run, american=american)
                self.agenda.add(at, f"daily run {zone} {day}", run, last=True)
            day += timedelta(days=1)

    def react(self, deliveries: list[Delivery], now: datetime) -> None:
        """Borrowers notice what arrived; the order in which the carrier lists it doesn't matter."""
        for delivery in sorted(deliveries, key=lambda d: (d.at, d.attempt_id)):
            self.borrowers.react(delivery, now)

    def live(self, now: datetime) -> News:
        """Everything due up to `now`: the events to publish, in the platform's order, and what borrowers sent."""
        self.agenda.run_due(now)
        self.core.close_tick(now)
        fresh, self.core.events = sorted(self.core.events, key=lambda event: event.order_key), []
        repeated, self._repeats = self._repeats, []
        inbound, self.borrowers.outbox = self.borrowers.outbox, []
        for event in fresh:
            key = f"{event.source} {event.event_id}"
            if chance(DUPLICATED_SHARE, self.plan.seed, key, "published twice"):
                delay = timedelta(minutes=integer(1, 600, self.plan.seed, key, "published again after"))
                self.agenda.add(now + delay, f"repeat {key}", partial(self._repeat, event))
        return News(events=[*fresh, *repeated], inbound=inbound)

    def _repeat(self, event: LenderEvent, _now: datetime) -> None:
        self._repeats.append(event)

    @property
    def next_tick(self) -> datetime | None:
        """The tick at which there is something to do next."""
        due_at = self.agenda.next_due_at
        return None if due_at is None else rounded_up(due_at, self.plan.tick, self.plan.start)
