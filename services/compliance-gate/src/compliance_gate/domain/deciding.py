"""The decision: every rule is asked, the heaviest answer wins, and a permit or the next legal instant is worked out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from compliance_gate.domain.completeness import judge_balance, judge_earlier, judge_expiry, judge_facts, judge_stops
from compliance_gate.domain.consents import call_back_spans
from compliance_gate.domain.counting import count_all, judge_caps
from compliance_gate.domain.facts import Attempt, Facts
from compliance_gate.domain.hours import judge_hours
from compliance_gate.domain.inconvenience import inconvenient_times, judge_inconvenience
from compliance_gate.domain.parties import judge_party, judge_place, judge_wrong_number
from compliance_gate.domain.plan import Day, Plan
from compliance_gate.domain.policy import Policy
from compliance_gate.domain.restrictions import judge_opt_outs, judge_restrictions
from compliance_gate.domain.verdicts import Allowed, Decision, Deferred, Denied, HeldForReview, Ruling

_STEPS_MAX = 2_000


class Opinion(NamedTuple):
    """What the packs' rules say at one instant, and when a permit given then ends at the latest.

    `plain_yes`: every ruling passed or isn't applicable, which the caller then needn't look at one by one.
    """

    rulings: tuple[Ruling, ...]
    permit_expires_at: datetime
    plain_yes: bool = False


def decide(attempt: Attempt, facts: Facts, policy: Policy, now: datetime) -> Decision:
    """Decide one attempt. Pure: the same arguments give the same decision, whenever and wherever.

    Refuses by the heaviest ruling: blocked, then deferred, then held, and allows only where no rule stands in the way
    and a permit would last. `facts` must be of the attempt's borrower and of the zones that `policy` was resolved for.
    """
    if facts.borrower_id != attempt.borrower_id or facts.zones != policy.stack.zones:
        raise ValueError("the facts, the attempt and the policy are not about the same borrower")
    if now.tzinfo is not UTC:
        now = now.astimezone(UTC)
    spoken = _own_rulings(attempt, facts, policy, now)
    if not facts.zones or policy.problem is not None:
        return _without_rules(spoken, policy)
    opinion = opinion_at(attempt, facts, policy, now)
    if opinion.plain_yes and not spoken:
        return Allowed(
            rules=opinion.rulings, policy_hash=policy.policy_hash, permit_expires_at=opinion.permit_expires_at
        )
    rulings = (*spoken, *opinion.rulings) if spoken else opinion.rulings
    return _weigh(attempt, facts, policy, now, rulings, opinion.permit_expires_at)


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
    return _full_opinion(plan, day, counts, plain, attempt, facts, now, expires)


def _full_opinion(
    plan: Plan,
    day: Day,
    counts: tuple[int, ...] | None,
    plain: bool,
    attempt: Attempt,
    facts: Facts,
    now: datetime,
    expires: datetime,
) -> Opinion:
    """Every rule asked on its own, as the general case needs; `plain` facts hold no wish and no restriction."""
    hours = judge_hours(plan, day, attempt, facts, now)
    rulings = list(hours.rulings)
    if plain:
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
    rulings.extend(judge_caps(plan, counts, attempt, facts, now))
    rulings.extend(plan.not_applicable)
    if hours.window is not None:
        limit = hours.window.end - plan.margin
        if limit <= now:
            rulings.append(_no_permit(hours.window.end))
        expires = min(expires, limit)
    if facts.inconveniences or facts.consents or facts.restrictions or facts.opt_outs:
        expires = _before_changes(attempt, facts, plan, now, expires, rulings)
    return Opinion(tuple(rulings), expires)


def _met_somebody_else(facts: Facts) -> bool:
    for row in facts.history:  # noqa: SIM110  (any() takes twice as long, and this is in every decision)
        if row.result == "wrong_person":
            return True
    return False


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


def _own_rulings(attempt: Attempt, facts: Facts, policy: Policy, now: datetime) -> list[Ruling]:
    """The platform's own rules; those that pass aren't listed."""
    spoken = judge_balance(attempt, facts, policy.terms, now)
    facts_ruling = judge_facts(attempt, facts, policy.terms, now)
    expiry = judge_expiry(attempt, now)
    stop = judge_stops(attempt, facts) if facts.stops else None
    earlier = judge_earlier(attempt.earlier, policy.terms, now) if attempt.earlier is not None else None
    if facts_ruling is not None or expiry is not None or stop is not None or earlier is not None:
        own = [ruling for ruling in (stop, earlier, expiry, facts_ruling) if ruling is not None]
        return [*own, *spoken]
    return spoken


def _without_rules(spoken: list[Ruling], policy: Policy) -> Decision:
    if policy.problem is not None and not any(ruling.result in ("blocked", "deferred") for ruling in spoken):
        spoken.append(Ruling(rule_id="platform.policy", result="held", facts=(("problem", policy.problem),)))
    rules = tuple(spoken)
    for ruling in rules:
        if ruling.result == "blocked":
            return Denied(rules=rules, policy_hash=policy.policy_hash, deciding_rule=ruling.rule_id)
    for ruling in rules:
        if ruling.result == "deferred" and ruling.until is not None:
            return Deferred(
                rules=rules,
                policy_hash=policy.policy_hash,
                deciding_rule=ruling.rule_id,
                next_legal_instant=ruling.until,
            )
    return HeldForReview(rules=rules, policy_hash=policy.policy_hash, deciding_rule="platform.policy")


def _weigh(
    attempt: Attempt, facts: Facts, policy: Policy, now: datetime, rules: tuple[Ruling, ...], expires: datetime
) -> Decision:
    hash_ = policy.policy_hash
    for ruling in rules:
        if ruling.result == "blocked":
            return Denied(rules=rules, policy_hash=hash_, deciding_rule=ruling.rule_id)
    deferred = [ruling for ruling in rules if ruling.result == "deferred"]
    if deferred:
        return _put_off(attempt, facts, policy, now, rules, deferred)
    approved = attempt.approval.rule_ids if attempt.approval is not None else ()
    held = [ruling for ruling in rules if ruling.result == "held" and ruling.rule_id not in approved]
    if held:
        end = now + timedelta(days=policy.terms.horizon_days)
        opens = None if any(ruling.until is None for ruling in held) else next_instant(attempt, facts, policy, now, end)
        return HeldForReview(rules=rules, policy_hash=hash_, deciding_rule=held[0].rule_id, next_legal_instant=opens)
    warnings = tuple(ruling.rule_id for ruling in rules if ruling.result in ("warned", "held"))
    return Allowed(rules=rules, policy_hash=hash_, permit_expires_at=expires, warnings=warnings)


def _put_off(
    attempt: Attempt,
    facts: Facts,
    policy: Policy,
    now: datetime,
    rules: tuple[Ruling, ...],
    deferred: list[Ruling],
) -> Decision:
    """Deferred to the next legal instant; held where there is none within the horizon."""
    waits = [ruling.until for ruling in deferred if ruling.rule_id.startswith("platform.") and ruling.until is not None]
    end = now + timedelta(days=policy.terms.horizon_days)
    start = max((now, *waits))
    known = None if waits else rules
    opens = next_instant(attempt, facts, policy, start, end, rulings_at_start=known)
    if opens is not None:
        deciding = max(deferred, key=lambda ruling: ruling.until or end)
        return Deferred(
            rules=rules,
            policy_hash=policy.policy_hash,
            deciding_rule=deciding.rule_id,
            next_legal_instant=opens,
        )
    unknown = policy.plan_for(attempt.channel, attempt.party, now).unknown_calendars(end)
    found = (("calendar_unknown", ",".join(unknown)),) if unknown else (("days", str(policy.terms.horizon_days)),)
    rule_id = "platform.calendar" if unknown else "platform.horizon"
    rules = (*rules, Ruling(rule_id=rule_id, result="held", facts=found))
    return HeldForReview(rules=rules, policy_hash=policy.policy_hash, deciding_rule=rule_id)


def _in_the_way(ruling: Ruling) -> bool:
    match ruling.result:
        case "blocked" | "deferred":
            return True
        case "held":
            return ruling.until is not None
        case _:
            return False


def _no_permit(until: datetime) -> Ruling:
    return Ruling(rule_id="platform.permit", result="deferred", facts=(("margin", "nothing left"),), until=until)


def _before_changes(
    attempt: Attempt, facts: Facts, plan: Plan, now: datetime, expires: datetime, rulings: list[Ruling]
) -> datetime:
    """The permit's end, moved before the next inconvenient time and the next change of what the borrower allows."""
    later = [instant for instant in _fact_instants(attempt, facts, plan) if now < instant < expires]
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
    return expires


def _fact_instants(attempt: Attempt, facts: Facts, plan: Plan) -> list[datetime]:
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


def _change_instants(attempt: Attempt, facts: Facts, policy: Policy, start: datetime, end: datetime) -> list[datetime]:
    plan = policy.plan_for(attempt.channel, attempt.party, start)
    instants = {*_fact_instants(attempt, facts, plan), *policy.change_instants()}
    return sorted(instant for instant in instants if start < instant < end)
