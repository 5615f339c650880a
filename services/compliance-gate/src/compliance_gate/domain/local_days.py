"""Local dates and clock offsets of a zone, exact over every change of its offset.

A UTC day is cut into segments of constant offset, so gaps, folds and skipped dates need no special case: inside a
segment local time is UTC plus a constant.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_SAMPLE_HOURS = 6  # no zone has ever changed its offset twice within six hours
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


class Interval(NamedTuple):
    """The instants from `start` to before `end`."""

    start: datetime
    end: datetime


class Segment(NamedTuple):
    """A part of a UTC day in which local time is UTC + `offset`."""

    start: datetime
    end: datetime
    offset: timedelta


def offset_at(zone: str, instant: datetime) -> timedelta:
    """Local time less UTC at `instant`."""
    offset = instant.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset


def local_date(zone: str, instant: datetime) -> date:
    """The date on the wall at `instant`."""
    return instant.astimezone(ZoneInfo(zone)).date()


@lru_cache(maxsize=16_384)
def offset_segments(zone: str, utc_ordinal: int) -> tuple[Segment, ...]:
    """The segments of one UTC day, in order and without gaps."""
    start = utc_midnight(utc_ordinal)
    segments: list[Segment] = []
    opened, offset = start, offset_at(zone, start)
    for hour in range(_SAMPLE_HOURS, 25, _SAMPLE_HOURS):
        sample = start + timedelta(hours=hour)
        after = offset_at(zone, sample)
        if after != offset:
            change = _first_with_other_offset(zone, sample - timedelta(hours=_SAMPLE_HOURS), sample, offset)
            if change > opened:
                segments.append(Segment(opened, change, offset))
            opened, offset = change, after
    end = start + _DAY
    if opened < end:
        segments.append(Segment(opened, end, offset))
    return tuple(segments)


def _first_with_other_offset(zone: str, low: datetime, high: datetime, offset: timedelta) -> datetime:
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if offset_at(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=16_384)
def date_start(zone: str, day: date) -> datetime:
    """The first instant whose local date is `day` or later."""
    midnight = datetime.combine(day, time(), UTC)
    for utc_ordinal in range(day.toordinal() - 1, day.toordinal() + 3):
        for segment in offset_segments(zone, utc_ordinal):
            reached = max(segment.start, midnight - segment.offset)
            if reached < segment.end:
                return reached
    raise AssertionError("no offset is larger than a day")


def utc_midnight(utc_ordinal: int) -> datetime:
    """The start of a UTC day given by its proleptic Gregorian ordinal."""
    return datetime.combine(date.fromordinal(utc_ordinal), time(), UTC)
