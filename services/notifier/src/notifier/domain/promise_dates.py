"""The date that a promise names, in Chinese or English, told from the borrower's own date."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Final

from notifier.domain.wording import NUMERAL, chinese_number

_N: Final = rf"(\d{{1,2}}|{NUMERAL})"
_MONTHS: Final = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_MONTH: Final = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_WEEKDAYS: Final = {name: number for number, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}
_WEEKDAY: Final = r"(mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs|ur)?(?:day)?"
_CHINESE_WEEKDAYS: Final = {character: number for number, character in enumerate("一二三四五六")} | {"日": 6, "天": 6}
_PAST_DAYS_MAX: Final = 180
"""A day and month without a year further back than this means next year's."""

_DateOf = Callable[[re.Match[str], date], date | None]


def named_dates(text: str, today: date) -> tuple[tuple[date | None, ...], str]:
    """All dates that `text` (in plain form) names, and the text without them; None is one that doesn't exist."""
    found: dict[date | None, None] = {}
    for pattern, date_of in _FORMS:
        found |= {date_of(match, today): None for match in pattern.finditer(text)}
        text = pattern.sub(" ", text)
    return tuple(found), text


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else chinese_number(text)


def _date(year: int, month: int | None, day: int | None) -> date | None:
    if month is None or day is None or not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    return date(year, month, day)


def _without_year(month: int | None, day: int | None, today: date) -> date | None:
    for year in range(today.year, today.year + 5):  # 29 February may be four years away
        value = _date(year, month, day)
        if value is not None and (today - value).days <= _PAST_DAYS_MAX:
            return value
    return None


def _day_of_month(day: int | None, today: date, *, months_ahead: int = 0) -> date | None:
    """The next such day of a month, today included; `months_ahead` counts from this month."""
    for month in _months_from(today, months_ahead):
        value = _date(month.year, month.month, day)
        if value is not None and (months_ahead or value >= today):
            return value
    return None


def _months_from(today: date, ahead: int) -> Iterator[date]:
    for step in range(ahead, ahead + 3):
        index = today.year * 12 + today.month - 1 + step
        yield date(index // 12, index % 12 + 1, 1)


def _end_of_month(today: date, *, months_ahead: int = 0) -> date:
    first = next(_months_from(today, months_ahead))
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _weekday(number: int, today: date, *, next_week: bool, named_week: bool) -> date:
    monday = today - timedelta(days=today.weekday())
    if next_week:
        return monday + timedelta(days=7 + number)
    if named_week:
        return monday + timedelta(days=number)
    return today + timedelta(days=(number - today.weekday()) % 7)


def _days_ahead(text: str, today: date, *, factor: int = 1) -> date | None:
    count = _number(text)
    return None if count is None or not 0 <= count * factor <= 366 else today + timedelta(days=count * factor)


def _form(pattern: str, date_of: _DateOf) -> tuple[re.Pattern[str], _DateOf]:
    return re.compile(pattern), date_of


def _fixed(days: int) -> _DateOf:
    return lambda _match, today: today + timedelta(days=days)


_FORMS: Final[tuple[tuple[re.Pattern[str], _DateOf], ...]] = (
    _form(
        r"(20\d\d)\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*[日号]?(?!\d)",
        lambda m, _t: _date(int(m[1]), int(m[2]), int(m[3])),
    ),
    _form(rf"{_N}\s*月\s*{_N}\s*[日号]?", lambda m, t: _without_year(_number(m[1]), _number(m[2]), t)),
    _form(rf"下个?月\s*{_N}\s*[日号]", lambda m, t: _day_of_month(_number(m[1]), t, months_ahead=1)),
    _form(r"下个?月底", lambda _m, t: _end_of_month(t, months_ahead=1)),
    _form(r"(?:这个?月|本月|月)底|月末", lambda _m, t: _end_of_month(t)),
    _form(r"大后天", _fixed(3)),
    _form(r"后[天日]", _fixed(2)),
    _form(r"明[天日晚早]|明儿", _fixed(1)),
    _form(r"今[天日晚]|今儿", _fixed(0)),
    _form(rf"{_N}\s*(?:天|日)(?:之?[内后]|以[内后])", lambda m, t: _days_ahead(m[1], t)),
    _form(rf"{_N}\s*个?(?:周|星期|礼拜)(?:之?[内后]|以[内后])", lambda m, t: _days_ahead(m[1], t, factor=7)),
    _form(
        r"下个?(?:周|星期|礼拜)([一二三四五六日天])",
        lambda m, t: _weekday(_CHINESE_WEEKDAYS[m[1]], t, next_week=True, named_week=True),
    ),
    _form(
        r"[这本]个?(?:周|星期|礼拜)([一二三四五六日天])",
        lambda m, t: _weekday(_CHINESE_WEEKDAYS[m[1]], t, next_week=False, named_week=True),
    ),
    _form(
        r"(?:周|星期|礼拜)([一二三四五六日天])",
        lambda m, t: _weekday(_CHINESE_WEEKDAYS[m[1]], t, next_week=False, named_week=False),
    ),
    _form(r"下个?(?:周|星期|礼拜)", lambda _m, t: _weekday(6, t, next_week=True, named_week=True)),
    _form(rf"(?<![\d.])(\d{{1,2}}|{NUMERAL})\s*[日号]", lambda m, t: _day_of_month(_number(m[1]), t)),
    _form(r"\bday after tomorrow\b", _fixed(2)),
    _form(r"\b(?:tomorrow|tmrw|tmr)\b", _fixed(1)),
    _form(r"\b(?:today|tonight)\b", _fixed(0)),
    _form(r"\b(?:in|within)\s+(\d{1,3})\s+days?\b", lambda m, t: _days_ahead(m[1], t)),
    _form(r"\b(?:in|within)\s+(\d{1,2})\s+weeks?\b", lambda m, t: _days_ahead(m[1], t, factor=7)),
    _form(r"\b(?:in|within)\s+a\s+week\b", _fixed(7)),
    _form(rf"\bnext\s+{_WEEKDAY}\b", lambda m, t: _weekday(_WEEKDAYS[m[1]], t, next_week=True, named_week=True)),
    _form(r"\bnext\s+week\b", lambda _m, t: _weekday(6, t, next_week=True, named_week=True)),
    _form(r"\bend of next month\b", lambda _m, t: _end_of_month(t, months_ahead=1)),
    _form(r"\b(?:end of (?:the |this )?month|month[- ]end)\b", lambda _m, t: _end_of_month(t)),
    _form(
        rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(20\d\d)\b",
        lambda m, _t: _date(int(m[3]), _MONTHS[m[1]], int(m[2])),
    ),
    _form(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?\b", lambda m, t: _without_year(_MONTHS[m[1]], int(m[2]), t)),
    _form(
        rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}\s+(20\d\d)\b",
        lambda m, _t: _date(int(m[3]), _MONTHS[m[2]], int(m[1])),
    ),
    _form(
        rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}\b",
        lambda m, t: _without_year(_MONTHS[m[2]], int(m[1]), t),
    ),
    _form(
        rf"\b(?:(?:on|by|this)\s+)?{_WEEKDAY}\b(?!\s*\d)",
        lambda m, t: _weekday(_WEEKDAYS[m[1]], t, next_week=False, named_week=False),
    ),
    _form(r"\b(\d{1,2})/(\d{1,2})/(20\d\d)\b", lambda m, _t: _date(int(m[3]), int(m[1]), int(m[2]))),
    _form(r"(?<![\d/])(\d{1,2})/(\d{1,2})(?![\d/])", lambda m, t: _without_year(int(m[1]), int(m[2]), t)),
    _form(r"\bthe\s+(\d{1,2})(?:st|nd|rd|th)\b", lambda m, t: _day_of_month(int(m[1]), t)),
)
"""Tried in this order, the longer form before the shorter one that is part of it."""
