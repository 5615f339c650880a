"""What every rule of the packs says about an attempt at one instant, and how long a permit given then would last."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from compliance_gate.domain.consents import call_back_spans
from compliance_gate.domain.counting import count_all, judge_caps
from compliance_gate.domain.facts import Attempt, Facts
from compliance_gate.domain.hours import judge_hours
from compliance_gate.domain.inconvenience import inconvenient_times, judge_inconvenience
from compliance_gate.domain.parties import judge_party, judge_place, judge_wrong_number
from compliance_gate.domain.plan import Day, Plan
from compliance_gate.domain.policy import Policy
from compliance_gate.domain.restrictions import judge_opt_outs, judge_restrictions
from compliance_gate.domain.verdicts import Ruling


class Opinion(NamedTuple):
    """What the packs' rules say at one instant, and when a permit given then ends at the latest.

    `plain_yes`: every ruling passed or isn't applicable, which the caller then needn't look at one by one.
    """

    rulings: tuple[Ruling, ...]
    permit_expires_at: datetime
    plain_yes: bool = False


class Look(NamedTuple):
    """What was looked up on the way to an opinion; `plain` facts hold no wish, no restriction and no wrong number."""

    plan: Plan
    day: Day
    counts: tuple[int, ...] | None
    plain: bool
    expires: datetime


def opinion_at(attempt: Attempt, facts: Facts, policy: Policy, now: datetime) -> Opinion:
    """What every rule of the packs says at `now`, and the end of a permit given then."""
    plan = policy.plan_for(attempt.channel, attempt.party, now)
    day = plan.day(now.toordinal())
    for slot in day.slots:
        if now < slot.end:
            break
    expires = now + plan.permit_length
    if attempt.expires_at < expires:
        expires = attempt.expires_at
    if slot.midnight < expires:
        expires = slot.midnight
    counts = count_all(plan, slot, attempt, facts, now)
    plain = (
        attempt.party == "borrower"
        and not (facts.restrictions or facts.opt_outs or facts.inconveniences)
        and attempt.place is None
    )
    if plain and plan.wrong_numbers:
        plain = not _met_somebody_else(facts)
    if plain and counts is not None:
        for window in day.windows:
            if window.start <= now and now < (limit := window.end - plan.margin):
                passed = plan.all_passed(counts)
                if passed is None:
                    break
                return Opinion(passed, limit if limit < expires else expires, plain_yes=True)
    return _full_opinion(Look(plan, day, counts, plain, expires), attempt, facts, now)


def fact_instants(attempt: Attempt, facts: Facts, plan: Plan) -> list[datetime]:
    """When something that the borrower allows or forbids begins or ends."""
    instants = [each.since for each in facts.opt_outs]
    for restriction in facts.restrictions:
        instants.extend(instant for instant in (restriction.since, restriction.until) if instant is not None)
    for consent in facts.consents:
        instants.extend(instant for instant in (consent.since, consent.until) if instant is not None)
    for wish in facts.inconveniences:
        instants.extend(instant for instant in (wish.since, wish.until) if instant is not None)
    if facts.consents:
        for bit, cap in enumerate(plan.caps):
            if "call_back" in cap.exceptions:
                for loan in attempt.loans:
                    spans = call_back_spans(
                        facts, loan, plan.cap_zones[bit], cap.consent_days_max, datetime.max.replace(tzinfo=UTC)
                    )
                    instants.extend(span.end for span in spans if span.end is not None)
    return instants


def _full_opinion(look: Look, attempt: Attempt, facts: Facts, now: datetime) -> Opinion:
    """Every rule asked on its own, as the general case needs."""
    plan, expires = look.plan, look.expires
    hours = judge_hours(plan, look.day, attempt, facts, now)
    rulings = list(hours.rulings)
    if look.plain:
        rulings.extend(plan.wishes_passed)
    else:
        rulings.extend(judge_restrictions(rule, attempt, facts, now) for rule in plan.restrictions)
        rulings.extend(judge_opt_outs(rule, attempt, facts, now) for rule in plan.opt_outs)
        rulings.extend(judge_inconvenience(rule, attempt, facts, plan.zones, now) for rule in plan.inconveniences)
        rulings.extend(judge_wrong_number(rule, attempt, facts, now) for rule in plan.wrong_numbers)
        rulings.extend(judge_place(rule, attempt) for rule in plan.places)
        rulings.extend(judge_party(rule, facts, plan.zones, now) for rule in plan.parties)
        if attempt.party == "third_party" and not plan.parties:
            rulings.append(Ruling(rule_id="platform.party", result="held", facts=(("party", attempt.party),)))
    rulings.extend(judge_caps(plan, look.counts, attempt, facts, now))
    rulings.extend(plan.not_applicable)
    if hours.window is not None:
        limit = hours.window.end - plan.margin
        if limit <= now:
            rulings.append(_no_permit(hours.window.end))
        expires = min(expires, limit)
    if facts.inconveniences or facts.consents or facts.restrictions or facts.opt_outs:
        expires, more = _before_changes(plan, attempt, facts, now, expires)
        rulings.extend(more)
    return Opinion(tuple(rulings), expires)


def _before_changes(
    plan: Plan, attempt: Attempt, facts: Facts, now: datetime, expires: datetime
) -> tuple[datetime, list[Ruling]]:
    """The permit's end, moved before the next inconvenient time and the next change of what the borrower allows."""
    rulings: list[Ruling] = []
    later = [instant for instant in fact_instants(attempt, facts, plan) if now < instant < expires]
    expires = min((expires, *later))
    if plan.inconveniences:
        for wish in facts.inconveniences:
            if wish.place is not None and attempt.place is not None and wish.place != attempt.place:
                continue
            for interval in inconvenient_times(wish, plan.zones, now, expires + plan.margin):
                limit = interval.start - plan.margin
                if interval.start > now and limit < expires:
                    if limit <= now:
                        rulings.append(_no_permit(interval.start))
                    expires = limit
    return expires, rulings


def _no_permit(until: datetime) -> Ruling:
    return Ruling(rule_id="platform.permit", result="deferred", facts=(("margin", "nothing left"),), until=until)


def _met_somebody_else(facts: Facts) -> bool:
    for row in facts.history:  # noqa: SIM110  (any() takes twice as long, and this is in every decision)
        if row.result == "wrong_person":
            return True
    return False
