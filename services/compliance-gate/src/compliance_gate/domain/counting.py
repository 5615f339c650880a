"""All caps of a plan in one walk over the past contacts.

The walk counts exactly what `caps.counted_contacts` counts, for the histories that need no exception; the others, and
every cap that turns out to be reached, are counted there.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from compliance_gate.domain.caps import cap_is_lifted, counts_row, free_again
from compliance_gate.domain.facts import Attempt, Facts
from compliance_gate.domain.plan import Plan, Slot
from compliance_gate.domain.rules import CapRule
from compliance_gate.domain.verdicts import Ruling, RulingResult


def judge_caps(
    plan: Plan, counts: tuple[int, ...] | None, attempt: Attempt, facts: Facts, now: datetime
) -> list[Ruling]:
    """What every cap of the plan says about one more contact at `now`; `counts` as `count_all` gives them."""
    spoken = []
    for bit, cap in enumerate(plan.caps):
        if counts is not None and counts[bit] < cap.limit:
            spoken.append(plan.cap_passed(bit, counts[bit]))
        else:
            spoken.append(_judge_exactly(cap, plan.cap_zones[bit], attempt, facts, now))
    return spoken


def _judge_exactly(cap: CapRule, zones: tuple[str, ...], attempt: Attempt, facts: Facts, now: datetime) -> Ruling:
    lifted = cap_is_lifted(cap, attempt, facts, zones, now)
    if lifted is not None:
        return Ruling(rule_id=cap.rule_id, result="passed", facts=(("exception", lifted),))
    counted, free, reached = free_again(cap, attempt, facts, zones, now)
    found = (("counted", str(counted)), ("limit", str(cap.limit)))
    if not reached:
        return Ruling(rule_id=cap.rule_id, result="passed", facts=found)
    result: RulingResult
    match cap.force:
        case "ban" | "presumption":
            result = "deferred" if free is not None else "blocked"
        case "should_not":
            result = "held"
        case "warn":
            result = "warned"
    return Ruling(rule_id=cap.rule_id, result=result, facts=found, until=free)


def count_all(plan: Plan, slot: Slot, attempt: Attempt, facts: Facts, now: datetime) -> tuple[int, ...] | None:
    """How many contacts each cap counts, on the fullest loan; None where an exception may be at work."""
    if facts.consents or attempt.reply_to is not None or attempt.purpose == "opt_out_confirmation":
        return None
    if plan.number_caps and facts.number_contacts:
        return None
    counts = [0] * len(plan.caps)
    if not plan.caps or not facts.history:
        return tuple(counts)
    loans = attempt.loans if plan.loan_caps and attempt.loans else (None,)
    for loan in loans:
        found = _walk_for(plan, slot, attempt, facts, now, loan)
        if found is None:
            return None
        own = [0] * len(plan.caps)
        for mask, number in found.items():
            _add(own, mask, number)
        counts = own if len(loans) == 1 else [max(pair) for pair in zip(counts, own, strict=True)]
    return tuple(_with_minutes(plan, counts, facts, now) if plan.minute_caps else counts)


def _walk_for(
    plan: Plan, slot: Slot, attempt: Attempt, facts: Facts, now: datetime, loan: str | None
) -> dict[int, int] | None:
    bounds = slot.bounds
    if not bounds:
        return {}
    wrong_person = 1 << len(plan.caps)
    active = wrong_person
    for _, bits in bounds:
        active |= bits
    position, (bound, leaving) = 0, bounds[0]
    number_key, loan_caps, number_caps = attempt.number_key, plan.loan_caps, plan.number_caps
    masks = plan.masks
    found: dict[int, int] = {}
    for row in facts.history:
        at = row.at
        if at < bound:
            while at < bound:
                active &= ~leaving
                position += 1
                if position == len(bounds):
                    return found
                bound, leaving = bounds[position]
        elif at > now:
            continue
        mask = masks.get((row.channel, row.result, row.direction, row.party))
        if mask is None:
            mask = plan.mask(row)
        mask &= active
        if not mask:
            continue
        if row.reply_to is not None or mask >= wrong_person or row.purpose == "opt_out_confirmation":
            return None
        if mask & loan_caps and loan is not None and (loan not in row.loans or row.discussed is not None):
            if row.discussed is not None:
                return None
            if row.loans:
                mask &= ~loan_caps
        if mask & number_caps and row.number_key != number_key and None not in (row.number_key, number_key):
            mask &= ~number_caps
        found[mask] = found.get(mask, 0) + 1
    return found


def _add(counts: list[int], mask: int, number: int) -> None:
    bit = 0
    while mask:
        if mask & 1:
            counts[bit] += number
        mask >>= 1
        bit += 1


def _with_minutes(plan: Plan, counts: list[int], facts: Facts, now: datetime) -> list[int]:
    """The counts with those of caps over minutes: any recent contact sends such a cap to be counted exactly."""
    for bit in plan.minute_caps:
        cap = plan.caps[bit]
        oldest = now - timedelta(minutes=cap.window.length)
        for row in facts.history:
            if row.at <= oldest:
                break
            if row.at <= now and counts_row(cap, row):
                counts[bit] = max(counts[bit], cap.limit)
    return counts
