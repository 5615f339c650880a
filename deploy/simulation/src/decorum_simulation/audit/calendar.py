"""Public holidays: written by hand from the official notices, as published for the other years.

China: the State Council General Office's notices on the holidays of 2025 and of 2026, breaks and make-up workdays; for
other years what `chinesecalendar` has of these notices, asked day by day.
United States: 5 U.S.C. 6103, which fixes the federal holidays of every year; a Saturday's is observed on Friday, a
Sunday's on Monday.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from typing import Final, Literal

import chinese_calendar

Country = Literal["CN", "US"]
DayKind = Literal["workday", "weekend", "holiday"]


class NoCalendar(Exception):
    """There is no official calendar for this country and year."""


def _span(year: int, first: tuple[int, int], last: tuple[int, int]) -> set[date]:
    day, end = date(year, *first), date(year, *last)
    return {day + timedelta(days=offset) for offset in range((end - day).days + 1)}


_CHINA_BREAKS: Final[dict[int, set[date]]] = {
    2025: _span(2025, (1, 1), (1, 1))
    | _span(2025, (1, 28), (2, 4))
    | _span(2025, (4, 4), (4, 6))
    | _span(2025, (5, 1), (5, 5))
    | _span(2025, (5, 31), (6, 2))
    | _span(2025, (10, 1), (10, 8)),
    2026: _span(2026, (1, 1), (1, 3))
    | _span(2026, (2, 15), (2, 23))
    | _span(2026, (4, 4), (4, 6))
    | _span(2026, (5, 1), (5, 5))
    | _span(2026, (6, 19), (6, 21))
    | _span(2026, (9, 25), (9, 27))
    | _span(2026, (10, 1), (10, 7)),
}
_CHINA_MAKE_UP: Final = {
    *(date(2025, month, day) for month, day in ((1, 26), (2, 8), (4, 27), (9, 28), (10, 11))),
    *(date(2026, month, day) for month, day in ((1, 4), (2, 14), (2, 28), (5, 9), (9, 20), (10, 10))),
}
_JUNETEENTH_SINCE: Final = 2021
"""Public Law 117-17."""
_AMERICAN_ZONES: Final = ("America/", "US/", "Pacific/Honolulu")
_CHINESE_ZONES: Final = frozenset({"Asia/Shanghai", "Asia/Urumqi", "Asia/Chongqing", "Asia/Harbin", "PRC"})


def country_of_zone(zone: str) -> Country | None:
    """The country that a zone lies in, where it is one of the two that the audit knows."""
    if zone in _CHINESE_ZONES:
        return "CN"
    return "US" if zone.startswith(_AMERICAN_ZONES) else None


def day_kind(country: Country, day: date) -> DayKind:
    """What kind of day it is; raises `NoCalendar` where nobody has announced it."""
    weekend = day.weekday() >= 5
    if country == "US":
        return "holiday" if day in _federal_holidays(day.year) else "weekend" if weekend else "workday"
    if day.year not in _CHINA_BREAKS:
        return published_chinese_kind(day)
    if day in _CHINA_BREAKS[day.year]:
        return "holiday"
    return "weekend" if weekend and day not in _CHINA_MAKE_UP else "workday"


def first_unknown_day(country: Country, days: Iterable[date]) -> date | None:
    """The first of `days` whose kind nobody has announced yet; None where all are known."""
    for day in sorted(days):
        try:
            day_kind(country, day)
        except NoCalendar:
            return day
    return None


def published_chinese_kind(day: date) -> DayKind:
    """The same from the published notices; a weekend day inside a break bears the break's name, and is a holiday."""
    try:
        is_off, break_name = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:
        raise NoCalendar(f"there is no official Chinese calendar of {day.year}") from None
    if not is_off:
        return "workday"
    return "weekend" if break_name is None else "holiday"


@cache
def _federal_holidays(year: int) -> frozenset[date]:
    actual = _actual_holidays(year)
    # New Year's Day of the next year is observed in this one when it is a Saturday.
    observed = {_observed(day) for day in {*actual, date(year + 1, 1, 1)}}
    return frozenset(actual | {day for day in observed if day.year == year})


def _actual_holidays(year: int) -> set[date]:
    juneteenth = {date(year, 6, 19)} if year >= _JUNETEENTH_SINCE else set()
    return juneteenth | {
        date(year, 1, 1),
        _weekday_of(year, 1, 0, 3),
        _weekday_of(year, 2, 0, 3),
        _last_monday_of_may(year),
        date(year, 7, 4),
        _weekday_of(year, 9, 0, 1),
        _weekday_of(year, 10, 0, 2),
        date(year, 11, 11),
        _weekday_of(year, 11, 3, 4),
        date(year, 12, 25),
    }


def _weekday_of(year: int, month: int, weekday: int, count: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _observed(day: date) -> date:
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))
