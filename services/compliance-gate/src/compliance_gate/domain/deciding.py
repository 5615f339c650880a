"""The decision: every rule is asked, the heaviest answer wins, and a permit or the next legal instant is worked out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from compliance_gate.domain.completeness import judge_balance, judge_earlier, judge_expiry, judge_facts, judge_stops
from compliance_gate.domain.facts import Attempt, Facts
from compliance_gate.domain.next_legal import next_instant
from compliance_gate.domain.opinions import Opinion, opinion_at
from compliance_gate.domain.policy import Policy
from compliance_gate.domain.verdicts import Allowed, Decision, Deferred, Denied, HeldForReview, Ruling


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
    return _weigh(attempt, facts, policy, now, Opinion(rulings, opinion.permit_expires_at))


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


def _weigh(attempt: Attempt, facts: Facts, policy: Policy, now: datetime, opinion: Opinion) -> Decision:
    rules, hash_ = opinion.rulings, policy.policy_hash
    for ruling in rules:
        if ruling.result == "blocked":
            return Denied(rules=rules, policy_hash=hash_, deciding_rule=ruling.rule_id)
    if any(ruling.result == "deferred" for ruling in rules):
        return _put_off(attempt, facts, policy, now, rules)
    approved = attempt.approval.rule_ids if attempt.approval is not None else ()
    held = [ruling for ruling in rules if ruling.result == "held" and ruling.rule_id not in approved]
    if held:
        end = now + timedelta(days=policy.terms.horizon_days)
        opens = None if any(ruling.until is None for ruling in held) else next_instant(attempt, facts, policy, now, end)
        return HeldForReview(rules=rules, policy_hash=hash_, deciding_rule=held[0].rule_id, next_legal_instant=opens)
    warnings = tuple(ruling.rule_id for ruling in rules if ruling.result in ("warned", "held"))
    return Allowed(rules=rules, policy_hash=hash_, permit_expires_at=opinion.permit_expires_at, warnings=warnings)


def _put_off(attempt: Attempt, facts: Facts, policy: Policy, now: datetime, rules: tuple[Ruling, ...]) -> Decision:
    """Deferred to the next legal instant; held where there is none within the horizon."""
    deferred = [ruling for ruling in rules if ruling.result == "deferred"]
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
