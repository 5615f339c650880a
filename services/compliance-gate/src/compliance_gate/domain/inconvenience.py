"""Times and places that the borrower called inconvenient, in each candidate zone of the borrower.

Source: 12 CFR 1006.6(b)(1), comments 6(b)(1)-1 and -2.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from compliance_gate.domain.facts import Attempt, Facts, Inconvenience
from compliance_gate.domain.legal_time import merged
from compliance_gate.domain.local_days import Interval, offset_segments
from compliance_gate.domain.replies import answered_message
from compliance_gate.domain.restrictions import PROHIBITION
from compliance_gate.domain.rules import InconvenienceRule
from compliance_gate.domain.verdicts import Found, Ruling

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_DAY_MINUTES = 24 * 60


def inconvenient_times(
    wish: Inconvenience, zones: tuple[str, ...], start: datetime, end: datetime
) -> tuple[Interval, ...]:
    """The instants between `start` and `end` that `wish` names in any of the zones, while it is in force."""
    first = start if wish.since is None else max(start, wish.since)
    last = end if wish.until is None else min(end, wish.until)
    if first >= last:
        return ()
    found: list[Interval] = []
    for zone in zones:
        for utc_ordinal in range(first.toordinal(), last.toordinal() + 1):
            for segment in offset_segments(zone, utc_ordinal):
                day = (segment.start + segment.offset).date() - _DAY
                while day <= (segment.end + segment.offset).date():
                    begins, ends = _on(wish, day)
                    midnight = datetime.combine(day, time(), UTC) - segment.offset
                    begin = max(midnight + begins, segment.start, first)
                    finish = min(midnight + ends, segment.end, last)
                    if begin < finish:
                        found.append(Interval(begin, finish))
                    day += _DAY
    return merged(found)


def judge_inconvenience(
    rule: InconvenienceRule, attempt: Attempt, facts: Facts, zones: tuple[str, ...], now: datetime
) -> Ruling:
    """Put off a contact at a time that any wish names, until that time is over.

    Where a wish is about a place, it binds at that place. A call to a place that nobody knows waits for the end of the
    time that was named with it; where none was, waiting doesn't help and a person looks. A message, which reaches a
    person rather than a place, passes with a warning. A borrower who writes at such a time may be answered once, in
    the same medium.
    """
    spoken = Ruling(rule_id=rule.rule_id, result="passed")
    for wish in facts.inconveniences:
        span = _span_at(wish, rule.zones_of(zones), now)
        if span is None:
            continue
        message = answered_message(attempt, facts, now) if "reply" in rule.exceptions else None
        if message is not None and span.start <= message.at:
            spoken = _heavier(spoken, Ruling(rule_id=rule.rule_id, result="passed", facts=(("exception", "reply"),)))
            continue
        spoken = _heavier(spoken, _ruling(rule, attempt, wish, span))
    return spoken


def _ruling(rule: InconvenienceRule, attempt: Attempt, wish: Inconvenience, span: Interval) -> Ruling:
    found: Found = (("inconvenient_from", span.start.isoformat()), ("inconvenient_to", span.end.isoformat()))
    if wish.place is not None:
        found = (*found, ("place", wish.place))
        if attempt.place is None and attempt.channel not in ("voice", "visit"):
            return Ruling(rule_id=rule.rule_id, result="warned", facts=found, until=span.end)
        if attempt.place is None and not (wish.days or wish.start_minute is not None or wish.end_minute is not None):
            return Ruling(rule_id=rule.rule_id, result="held", facts=found, until=span.end)
        if attempt.place not in (None, wish.place):
            return Ruling(rule_id=rule.rule_id, result="passed", facts=found)
    result = PROHIBITION[rule.force]
    if result != "blocked":
        return Ruling(rule_id=rule.rule_id, result=result, facts=found, until=span.end)
    return Ruling(rule_id=rule.rule_id, result="deferred", facts=found, until=span.end)


def _span_at(wish: Inconvenience, zones: tuple[str, ...], now: datetime) -> Interval | None:
    """The inconvenient interval that `now` is in, complete where it is shorter than a week."""
    for interval in inconvenient_times(wish, zones, now - 8 * _DAY, now + 8 * _DAY):
        if interval.start <= now < interval.end:
            return interval
    return None


def _on(wish: Inconvenience, day: date) -> tuple[timedelta, timedelta]:
    if wish.days and _WEEKDAYS[day.weekday()] not in wish.days:
        return timedelta(0), timedelta(0)
    start = wish.start_minute or 0
    end = _DAY_MINUTES if wish.end_minute is None else wish.end_minute
    if end <= start:
        end += _DAY_MINUTES
    return timedelta(minutes=start), timedelta(minutes=end)


def _heavier(left: Ruling, right: Ruling) -> Ruling:
    order = ("passed", "warned", "held", "deferred", "blocked")
    if order.index(right.result) != order.index(left.result):
        return max(left, right, key=lambda ruling: order.index(ruling.result))
    if left.until is not None and right.until is not None:
        return max(left, right, key=lambda ruling: ruling.until or datetime.min.replace(tzinfo=UTC))
    return right if right.facts else left
