"""When contact is lawful by the clock: exact intervals in UTC, over every candidate zone and every rule at once.

An instant is legal if each rule allows the local time of day that each zone shows then, by the class that each
country's calendar gives to the local date. A date that a needed calendar doesn't know has no legal instant.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from compliance_gate.domain.calendars import Calendar, weekday_class
from compliance_gate.domain.local_days import Interval, Segment, offset_segments
from compliance_gate.domain.rules import Span, WindowRule

_DAY = timedelta(days=1)


def legal_windows(
    rules: tuple[WindowRule, ...],
    zones: tuple[str, ...],
    calendars: tuple[Calendar | None, ...],
    start: datetime,
    end: datetime,
) -> tuple[Interval, ...]:
    """The legal intervals between `start` and `end`, in order, disjoint and not touching.

    `calendars` holds one for each country that counts, None for one that there is none for. Without a zone nothing is
    legal; without a rule everything is.
    """
    if not zones or start >= end:
        return ()
    legal: tuple[Interval, ...] = (Interval(start, end),)
    for rule in rules:
        for zone in rule.zones_of(zones):
            allowed: list[Interval] = []
            for utc_ordinal in range(start.toordinal(), end.toordinal() + 1):
                for segment in offset_segments(zone, utc_ordinal):
                    allowed.extend(_allowed_in(rule, calendars, segment))
            legal = intersect(legal, merged(allowed))
    return legal


def next_legal_instant(
    now: datetime,
    *,
    rules: tuple[WindowRule, ...],
    zones: tuple[str, ...],
    calendars: tuple[Calendar | None, ...],
    horizon: timedelta = timedelta(days=60),
) -> datetime | None:
    """The first legal instant at or after `now` by the clock alone; None if there is none within `horizon`."""
    start, last = now, now + horizon
    while start < last:
        end = min(start + timedelta(days=4), last)
        windows = legal_windows(rules, zones, calendars, start, end)
        if windows:
            return windows[0].start
        start = end
    return None


def hours_on(rule: WindowRule, day: date, calendars: tuple[Calendar | None, ...]) -> tuple[Span, ...]:
    """The spans of local time that `rule` allows on `day`, the strictest of all calendars."""
    if not rule.uses_calendar:
        return rule.spans(weekday_class(day))
    spans: tuple[Span, ...] | None = None
    for calendar in calendars:
        day_class = calendar.day_class(day) if calendar else None
        if day_class is None:
            return ()
        allowed = rule.spans(day_class)
        spans = allowed if spans is None else _intersect_spans(spans, allowed)
    return spans or ()


def intersect(left: Iterable[Interval], right: Iterable[Interval]) -> tuple[Interval, ...]:
    """The instants in both; each side in order and disjoint."""
    lefts, rights = list(left), list(right)
    both: list[Interval] = []
    i = j = 0
    while i < len(lefts) and j < len(rights):
        start, end = max(lefts[i].start, rights[j].start), min(lefts[i].end, rights[j].end)
        if start < end:
            both.append(Interval(start, end))
        if lefts[i].end <= rights[j].end:
            i += 1
        else:
            j += 1
    return tuple(both)


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same instants in order, with touching intervals made one."""
    result: list[Interval] = []
    for interval in sorted(intervals):
        if result and interval.start <= result[-1].end:
            result[-1] = Interval(result[-1].start, max(result[-1].end, interval.end))
        else:
            result.append(interval)
    return tuple(result)


def _allowed_in(rule: WindowRule, calendars: tuple[Calendar | None, ...], segment: Segment) -> Iterable[Interval]:
    first = (segment.start + segment.offset).date()
    last = (segment.end + segment.offset).date()
    day = first
    while day <= last:
        midnight = datetime.combine(day, time(), UTC) - segment.offset
        for opens, closes in hours_on(rule, day, calendars):
            start, end = max(midnight + opens, segment.start), min(midnight + closes, segment.end)
            if start < end:
                yield Interval(start, end)
        day += _DAY


def _intersect_spans(left: tuple[Span, ...], right: tuple[Span, ...]) -> tuple[Span, ...]:
    both = ((max(a, c), min(b, d)) for a, b in left for c, d in right)
    return tuple(span for span in both if span[0] < span[1])
