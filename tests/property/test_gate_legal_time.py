"""Legal time equals a minute-by-minute brute force that knows nothing of segments and intervals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from compliance_gate.domain.calendars import Calendar, DayClass, weekday_class
from compliance_gate.domain.facts import Inconvenience, Weekday
from compliance_gate.domain.inconvenience import inconvenient_times
from compliance_gate.domain.legal_time import legal_windows, next_legal_instant
from compliance_gate.domain.local_days import date_start, local_date
from compliance_gate.domain.rules import Span, WindowRule

ZONES = (
    "America/New_York", "America/Los_Angeles", "America/Phoenix", "America/St_Johns", "America/Havana",
    "America/Santiago", "Asia/Shanghai", "Asia/Kathmandu", "Asia/Beirut", "Asia/Kolkata", "Africa/Cairo",
    "Australia/Lord_Howe", "Europe/London", "Pacific/Apia", "Pacific/Chatham", "Pacific/Honolulu", "UTC",
)  # fmt: skip
CHANGES = (
    date(2026, 3, 8), date(2026, 11, 1), date(2026, 3, 29), date(2026, 10, 25), date(2026, 4, 5), date(2026, 10, 4),
    date(2026, 4, 4), date(2026, 9, 5), date(2026, 4, 24), date(2026, 10, 29), date(2011, 12, 30), date(2026, 2, 17),
)  # fmt: skip
CLASSES: tuple[DayClass, ...] = ("workday", "makeup_workday", "saturday", "sunday", "holiday")
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE = timedelta(minutes=1)

starts = st.sampled_from(CHANGES).map(lambda day: datetime(day.year, day.month, day.day, tzinfo=UTC)) | st.integers(
    0, 4 * 365 * 24 * 60
).map(lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + minutes * MINUTE)


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, ...]:
    edges = sorted(draw(st.sets(st.integers(0, 24 * 12), min_size=0, max_size=4)))
    if len(edges) % 2:
        edges.pop()
    return tuple(
        (timedelta(minutes=opens * 5), timedelta(minutes=closes * 5))
        for opens, closes in zip(edges[::2], edges[1::2], strict=True)
    )


@st.composite
def window_rules(draw: st.DrawFn) -> WindowRule:
    uses_calendar = draw(st.booleans())
    return WindowRule(
        rule_id="rule", name_en="", name_zh="", source="", grade="law", confirmation="confirmed", force="ban",
        channels=None, parties=frozenset({"borrower"}), binds=frozenset({"lender"}), exceptions=frozenset(),
        hours=tuple((day_class, draw(spans())) for day_class in CLASSES), uses_calendar=uses_calendar,
        zone_aliases=draw(st.sampled_from(((), (("Asia/Shanghai", "Asia/Kathmandu"),)))),
    )  # fmt: skip


@st.composite
def calendars(draw: st.DrawFn, around: datetime) -> Calendar | None:
    if draw(st.integers(0, 9)) == 0:
        return None
    near = [around.date() + timedelta(days=offset) for offset in range(-2, 6)]
    holidays = draw(st.sets(st.sampled_from(near), max_size=3))
    makeup = draw(st.sets(st.sampled_from(near), max_size=2)) - holidays
    return Calendar(
        country="XX", holidays=frozenset(holidays), makeup_workdays=frozenset(makeup), valid_from=date(2000, 1, 1),
        valid_through=draw(st.sampled_from((date(2030, 12, 31), around.date() + timedelta(days=1)))), source="",
    )  # fmt: skip


def class_of(calendar: Calendar | None, day: date) -> DayClass | None:
    if calendar is None or not calendar.valid_from <= day <= calendar.valid_through:
        return None
    if day in calendar.holidays:
        return "holiday"
    if day in calendar.makeup_workdays:
        return "makeup_workday"
    return weekday_class(day)


def legal_by_the_wall(
    rules: list[WindowRule], zones: tuple[str, ...], official: list[Calendar | None], instant: datetime
) -> bool:
    for rule in rules:
        aliases = dict(rule.zone_aliases)
        for zone in zones:
            wall = instant.astimezone(ZoneInfo(aliases.get(zone, zone)))
            minute = timedelta(hours=wall.hour, minutes=wall.minute)
            classes = [class_of(calendar, wall.date()) for calendar in official] if rule.uses_calendar else [None]
            for day_class in classes:
                if rule.uses_calendar and day_class is None:
                    return False
                allowed = dict(rule.hours)[day_class or weekday_class(wall.date())]
                if not any(opens <= minute < closes for opens, closes in allowed):
                    return False
            if rule.uses_calendar and not official:
                return False
    return bool(zones)


@settings(max_examples=120)
@given(st.data(), starts, st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True))
def test_legal_windows_equal_a_minute_by_minute_brute_force(
    data: st.DataObject, start: datetime, chosen: list[str]
) -> None:
    zones = tuple(chosen)
    rules = data.draw(st.lists(window_rules(), min_size=1, max_size=2))
    official = data.draw(st.lists(calendars(start), min_size=1, max_size=2))
    end = start + timedelta(days=data.draw(st.integers(1, 3)), minutes=data.draw(st.integers(0, 600)))
    windows = legal_windows(tuple(rules), zones, tuple(official), start, end)
    assert all(earlier.end < later.start for earlier, later in pairwise(windows))
    assert all(start <= window.start < window.end <= end for window in windows)
    covered = set()
    for window in windows:
        instant = window.start
        while instant < window.end:
            covered.add(instant)
            instant += MINUTE
    instant = start
    while instant < end:
        assert (instant in covered) == legal_by_the_wall(rules, zones, official, instant), instant
        instant += MINUTE


@settings(max_examples=60)
@given(st.data(), starts, st.lists(st.sampled_from(ZONES), min_size=1, max_size=2, unique=True))
def test_the_next_legal_instant_is_the_first_legal_minute(
    data: st.DataObject, start: datetime, chosen: list[str]
) -> None:
    rules = data.draw(st.lists(window_rules(), min_size=1, max_size=2))
    official = data.draw(st.lists(calendars(start), min_size=1, max_size=1))
    horizon = timedelta(days=3)
    found = next_legal_instant(
        start, rules=tuple(rules), zones=tuple(chosen), calendars=tuple(official), horizon=horizon
    )
    instant, first = start, None
    while instant < start + horizon:
        if legal_by_the_wall(rules, tuple(chosen), official, instant):
            first = instant
            break
        instant += MINUTE
    assert found == first


@settings(max_examples=100)
@given(starts, st.sampled_from(ZONES))
def test_a_date_starts_at_the_first_instant_that_shows_it_or_a_later_one(start: datetime, zone: str) -> None:
    day = local_date(zone, start)
    begins = date_start(zone, day)
    assert begins.astimezone(ZoneInfo(zone)).date() >= day
    assert (begins - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() < day


def test_without_a_zone_nothing_is_legal_and_without_a_rule_everything_is() -> None:
    start, end = datetime(2026, 4, 7, tzinfo=UTC), datetime(2026, 4, 9, tzinfo=UTC)
    assert legal_windows((), (), (), start, end) == ()
    assert legal_windows((), ("Asia/Shanghai",), (), start, end) == ((start, end),)


def inconvenient_by_the_wall(wish: Inconvenience, zones: tuple[str, ...], instant: datetime) -> bool:
    if (wish.since is not None and instant < wish.since) or (wish.until is not None and instant >= wish.until):
        return False
    opens = wish.start_minute or 0
    closes = 24 * 60 if wish.end_minute is None else wish.end_minute
    for zone in zones:
        wall = instant.astimezone(ZoneInfo(zone))
        minute = wall.hour * 60 + wall.minute
        today = not wish.days or WEEKDAYS[wall.weekday()] in wish.days
        yesterday = not wish.days or WEEKDAYS[wall.weekday() - 1] in wish.days
        if opens < closes and today and opens <= minute < closes:
            return True
        if opens >= closes and ((today and minute >= opens) or (yesterday and minute < closes)):
            return True
    return False


@settings(max_examples=60)
@given(
    st.data(), starts.filter(lambda start: start.year > 2011), st.lists(st.sampled_from(ZONES), min_size=1, max_size=2)
)
def test_inconvenient_times_equal_a_minute_by_minute_brute_force(
    data: st.DataObject, start: datetime, chosen: list[str]
) -> None:
    wish = Inconvenience(
        days=tuple(data.draw(st.lists(st.sampled_from(WEEKDAYS), max_size=4, unique=True))),
        start_minute=data.draw(st.none() | st.integers(0, 1439)),
        end_minute=data.draw(st.none() | st.integers(1, 1440)),
        since=data.draw(st.none() | st.just(start + 300 * MINUTE)),
        until=data.draw(st.none() | st.just(start + 1800 * MINUTE)),
    )
    end = start + timedelta(days=2)
    found = inconvenient_times(wish, tuple(chosen), start, end)
    instant = start
    while instant < end:
        inside = any(interval.start <= instant < interval.end for interval in found)
        assert inside == inconvenient_by_the_wall(wish, tuple(chosen), instant), instant
        instant += MINUTE
