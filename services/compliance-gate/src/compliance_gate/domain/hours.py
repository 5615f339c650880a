"""The legal hours of one attempt: the plan's windows, less those that an exception lifts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from compliance_gate.domain.consents import outside_hours_consented
from compliance_gate.domain.facts import Attempt, Facts
from compliance_gate.domain.legal_time import legal_windows
from compliance_gate.domain.local_days import Interval
from compliance_gate.domain.plan import Day, Plan
from compliance_gate.domain.replies import answered_message
from compliance_gate.domain.restrictions import PROHIBITION
from compliance_gate.domain.rules import WindowRule
from compliance_gate.domain.verdicts import Found, Ruling

_LOOK_BACK = timedelta(days=10)


class Hours(NamedTuple):
    """What the hours say at an instant, and the legal window that it is in, None where it is in none."""

    rulings: tuple[Ruling, ...]
    window: Interval | None


def judge_hours(plan: Plan, day: Day, attempt: Attempt, facts: Facts, now: datetime) -> Hours:
    """What every rule on hours says about a contact at `now`."""
    for window in day.windows:
        if window.start <= now < window.end:
            return Hours(plan.windows_passed, window)
    rulings: list[Ruling] = []
    binding = 0
    for bit, rule in enumerate(plan.windows):
        ruling = _judge(rule, 1 << bit, plan, attempt, facts, now)
        rulings.append(ruling)
        if not any(key == "exception" for key, _ in ruling.facts):
            binding |= 1 << bit
    for window in plan.windows_on(binding, now.toordinal()):
        if window.start <= now < window.end:
            return Hours(tuple(rulings), window)
    return Hours(tuple(rulings), None)


def _judge(rule: WindowRule, bits: int, plan: Plan, attempt: Attempt, facts: Facts, now: datetime) -> Ruling:
    opens = plan.opens(bits, now)
    if opens == now:
        return Ruling(rule_id=rule.rule_id, result="passed")
    if "outside_hours" in rule.exceptions and outside_hours_consented(attempt, facts, now):
        return Ruling(rule_id=rule.rule_id, result="passed", facts=(("exception", "outside_hours"),))
    if "reply" in rule.exceptions:
        message = answered_message(attempt, facts, now)
        if message is not None and _same_closed_time(rule, plan, message.at, now):
            return Ruling(rule_id=rule.rule_id, result="passed", facts=(("exception", "reply"),))
    found: Found = ()
    unknown = plan.unknown_calendars(now) if rule.uses_calendar else ()
    if unknown:
        found = (("calendar_unknown", ",".join(unknown)),)
    result = PROHIBITION[rule.force]
    return Ruling(rule_id=rule.rule_id, result="deferred" if result == "blocked" else result, facts=found, until=opens)


def _same_closed_time(rule: WindowRule, plan: Plan, earlier: datetime, now: datetime) -> bool:
    """Whether no legal time of the rule lies between the borrower's message and now: it was sent at such a time."""
    if earlier < now - _LOOK_BACK:
        return False
    until = now + timedelta(microseconds=1)
    return not legal_windows((rule,), plan.zones, plan.calendars, earlier, until)
