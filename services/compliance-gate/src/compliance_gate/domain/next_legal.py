"""The next instant at which windows, caps, wishes and restrictions together allow an attempt, searched exactly."""

from __future__ import annotations

from datetime import datetime

from compliance_gate.domain.facts import Attempt, Facts
from compliance_gate.domain.opinions import fact_instants, opinion_at
from compliance_gate.domain.policy import Policy
from compliance_gate.domain.verdicts import Ruling

_STEPS_MAX = 2_000


def next_instant(
    attempt: Attempt,
    facts: Facts,
    policy: Policy,
    start: datetime,
    end: datetime,
    *,
    rulings_at_start: tuple[Ruling, ...] | None = None,
) -> datetime | None:
    """The first instant from `start` to before `end` at which the packs' rules put nothing in the way.

    The search is exact: each ruling that stands in the way says until when, and between changes of the facts (a
    consent that begins or ends, a rule that takes effect) nothing else can open. A ruling that asks for a person and
    that no time satisfies doesn't count: a person may approve then.
    """
    changes = _change_instants(attempt, facts, policy, start, end)
    at = start
    for _ in range(_STEPS_MAX):
        if at >= end:
            return None
        rulings = rulings_at_start or opinion_at(attempt, facts, policy, at).rulings
        rulings_at_start = None
        later = [ruling for ruling in rulings if _in_the_way(ruling)]
        if not later:
            return at
        untils = [ruling.until for ruling in later]
        opens = None if any(until is None for until in untils) else max(until for until in untils if until is not None)
        change = next((instant for instant in changes if instant > at), None)
        candidates = [instant for instant in (opens, change) if instant is not None and instant > at]
        if not candidates:
            return None
        at = min(candidates)
    return None


def _in_the_way(ruling: Ruling) -> bool:
    match ruling.result:
        case "blocked" | "deferred":
            return True
        case "held":
            return ruling.until is not None
        case _:
            return False


def _change_instants(attempt: Attempt, facts: Facts, policy: Policy, start: datetime, end: datetime) -> list[datetime]:
    plan = policy.plan_for(attempt.channel, attempt.party, start)
    instants = {*fact_instants(attempt, facts, plan), *policy.change_instants()}
    return sorted(instant for instant in instants if start < instant < end)
