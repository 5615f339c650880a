"""Treatment strategies and grading as values, and the path that they give together.

A grade depends on days past due and amount alone, so the whole path of an episode is known in advance: on each day
the strategy of that day's grade speaks, and its steps of that day are on the path. Nothing has to be graded again as
time passes, and two processes with the same facts have the same path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal, NamedTuple, assert_never
from zoneinfo import ZoneInfo

from shared.contracts.attempts import ReferralTarget
from shared.contracts.replies import ReplyIntent
from shared.contracts.types import Purpose, RiskGrade

AmountSize = Literal["small", "medium", "large"]
StepChannel = Literal["sms", "voice"]
GRADES: Final[tuple[RiskGrade, ...]] = ("low", "medium", "high")
DEFAULT: Final = "default"
"""Stands for every currency that isn't named, in a file and in `stop_below_minor`."""
_HALF_HOUR: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One contact of a path. The same key means the same day and channel in every version and every strategy."""

    key: str
    day: int
    """Days after the oldest unpaid due date; zero or less is a reminder, before anything is overdue."""
    channel: StepChannel
    template: str
    local_hours: tuple[time, ...]
    """Preferred local times; each borrower gets one of them, always the same."""
    lifetime_hours: int
    purpose: Purpose = field(init=False)
    """Reminders come up to the due date, demands after it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "purpose", "reminder" if self.day <= 0 else "demand")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferralStep:
    """Where a path is handed over. Robots are silent from the first referral of an episode on."""

    key: str
    day: int
    target: ReferralTarget
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPause:
    """What a reply does to a plan: a pause of `days`, or until somebody lifts it, and a referral if there is one."""

    days: int | None
    referral: ReferralTarget | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strategy:
    """The treatment of one grade, as its file says."""

    name: str
    content_hash: str
    grade: RiskGrade
    currencies: frozenset[str] | None
    steps: tuple[Step, ...]
    referrals: tuple[ReferralStep, ...]
    spacing_hours: int
    """At least so long between a submission and the borrower's next planned contact."""
    stop_below_minor: Mapping[str, int]
    """By currency, or `default`: an amount below it is not worth a contact."""
    stop_after_day: int
    reply_pauses: Mapping[ReplyIntent, ReplyPause]
    escalate_after_broken_promises: int | None

    def is_worth_asking(self, currency: str, amount_minor: int) -> bool:
        """Whether `amount_minor` is enough for a contact."""
        return amount_minor >= self.stop_below_minor.get(currency, self.stop_below_minor[DEFAULT])


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountLimits:
    """Where amounts of one currency stop being small and start being large, in minor units."""

    small_below_minor: int
    large_from_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeBand:
    """The grade of each size of amount from `from_day` past due on."""

    from_day: int
    small: RiskGrade
    medium: RiskGrade
    large: RiskGrade


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grading:
    """Days past due times amount gives the risk grade. `bands` are sorted by day, the first one open downwards."""

    limits: Mapping[str, AmountLimits]
    default_limits: AmountLimits
    bands: tuple[GradeBand, ...]

    def size(self, currency: str, amount_minor: int) -> AmountSize:
        """Which of the three sizes `amount_minor` is."""
        limits = self.limits.get(currency, self.default_limits)
        if amount_minor < limits.small_below_minor:
            return "small"
        return "medium" if amount_minor < limits.large_from_minor else "large"

    def grade(self, days_past_due: int, size: AmountSize) -> RiskGrade:
        """The risk grade of a loan; days before the due date are negative."""
        band = next((b for b in reversed(self.bands) if b.from_day <= days_past_due), self.bands[0])
        match size:
            case "small":
                return band.small
            case "medium":
                return band.medium
            case "large":
                return band.large
            case _:
                assert_never(size)


class LoanShape(NamedTuple):
    """What of a loan a path depends on: the size of its amount, and by how many days it fell due after the oldest."""

    size: AmountSize
    lag_days: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Path:
    """The steps of one episode in order of day, each with the strategy that it comes from."""

    steps: tuple[tuple[Step, Strategy], ...]
    referrals: tuple[tuple[ReferralStep, Strategy], ...]
    days: tuple[int, ...]
    """The day of each step."""
    by_key: Mapping[str, tuple[Step, Strategy]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StrategyBook:
    """All strategies with the grading that chooses between them."""

    grading: Grading
    by_grade: Mapping[RiskGrade, Strategy]

    def strategy_on(self, day: int, shapes: frozenset[LoanShape], broken_promises: int) -> Strategy:
        """The strategy that speaks on `day` of an episode: that of the worst loan, one up after broken promises."""
        worst = max(GRADES.index(self.grading.grade(day - s.lag_days, s.size)) for s in shapes)
        strategy = self.by_grade[GRADES[worst]]
        allowed = strategy.escalate_after_broken_promises
        if allowed is None or broken_promises < allowed or worst + 1 == len(GRADES):
            return strategy
        return self.by_grade[GRADES[worst + 1]]


@lru_cache(maxsize=4096)
def path_of(book: StrategyBook, shapes: frozenset[LoanShape], currency: str, broken_promises: int) -> Path:
    """The path of an episode. After the first referral nothing but further referrals is on it."""
    steps: list[tuple[Step, Strategy]] = []
    referrals: list[tuple[ReferralStep, Strategy]] = []
    for strategy in book.by_grade.values():
        if strategy.currencies is not None and currency not in strategy.currencies:
            continue
        for step in strategy.steps:
            if step.day <= strategy.stop_after_day and _speaks(book, strategy, step.day, shapes, broken_promises):
                steps.append((step, strategy))
        for referral in strategy.referrals:
            if _speaks(book, strategy, referral.day, shapes, broken_promises):
                referrals.append((referral, strategy))
    first_referral_day = min((r.day for r, _ in referrals), default=1 << 30)
    kept = sorted((s for s in steps if s[0].day < first_referral_day), key=lambda s: (s[0].day, s[0].key))
    return Path(
        steps=tuple(kept),
        referrals=tuple(sorted(referrals, key=lambda r: (r[0].day, r[0].key))),
        days=tuple(step.day for step, _ in kept),
        by_key={step.key: (step, strategy) for step, strategy in kept},
    )


def _speaks(
    book: StrategyBook, strategy: Strategy, day: int, shapes: frozenset[LoanShape], broken_promises: int
) -> bool:
    return book.strategy_on(day, shapes, broken_promises) is strategy


@lru_cache(maxsize=65_536)
def step_times(step: Step, episode: date, zone: str, seat: int) -> tuple[datetime, datetime]:
    """When a step is due and when it expires, in UTC, for a borrower in `zone` whose `seat` picks the hour.

    Due is always a whole or a half hour. A reminder expires with the due date itself.
    """
    tz = ZoneInfo(zone)
    local = step.local_hours[seat % len(step.local_hours)]
    due_at = half_hour_from(datetime.combine(episode + timedelta(days=step.day), local, tz).astimezone(UTC))
    expires_at = due_at + timedelta(hours=step.lifetime_hours)
    if step.purpose == "reminder":
        day_end = datetime.combine(episode + timedelta(days=1), time(), tz).astimezone(UTC)
        expires_at = min(expires_at, day_end)
    assert due_at < expires_at, "a step is due inside its own lifetime"
    return due_at, expires_at


@lru_cache(maxsize=65_536)
def preferred_from(step: Step, zone: str, earliest: datetime) -> datetime:
    """The first of the step's preferred hours at or after `earliest`, in UTC: less than two days away."""
    tz = ZoneInfo(zone)
    today = earliest.astimezone(tz).date()
    instants = (
        half_hour_from(datetime.combine(today + timedelta(days=days), local, tz).astimezone(UTC))
        for days in range(3)
        for local in sorted(step.local_hours)
    )
    return next(instant for instant in instants if instant >= earliest)


@lru_cache(maxsize=65_536)
def referral_time(referral: ReferralStep, episode: date, zone: str) -> datetime:
    """When a referral is due: 09:00 of its local day, in UTC."""
    local = datetime.combine(episode + timedelta(days=referral.day), time(9), ZoneInfo(zone))
    return half_hour_from(local.astimezone(UTC))


def half_hour_from(instant: datetime) -> datetime:
    """`instant`, or the next whole or half hour after it."""
    past = timedelta(minutes=instant.minute % 30, seconds=instant.second, microseconds=instant.microsecond)
    return instant if not past else instant + (_HALF_HOUR - past)


def problems_of(book: StrategyBook) -> Iterator[tuple[Strategy, str, str]]:
    """What is wrong between strategies: (strategy, step key, reason). One file alone can't show it."""
    seen: dict[str, tuple[int, str]] = {}
    for strategy in book.by_grade.values():
        for step in strategy.steps:
            first = seen.setdefault(step.key, (step.day, step.channel))
            if first != (step.day, step.channel):
                yield strategy, step.key, "the same step key has another day or channel in another strategy"
        for referral in strategy.referrals:
            first = seen.setdefault(referral.key, (referral.day, referral.target))
            if first != (referral.day, referral.target):
                yield strategy, referral.key, "the same referral key has another day or target in another strategy"
