"""Whom not to contact at all: restrictions on the borrower's loans, and media that the borrower refused."""

from __future__ import annotations

from datetime import datetime

from compliance_gate.domain.consents import channel_consented_since
from compliance_gate.domain.facts import Attempt, Facts, OptOut, Restriction
from compliance_gate.domain.replies import answered_message, is_first_confirmation
from compliance_gate.domain.rules import Force, OptOutRule, RestrictionRule
from compliance_gate.domain.verdicts import Ruling, RulingResult

PROHIBITION: dict[Force, RulingResult] = {
    "ban": "blocked",
    "presumption": "blocked",
    "should_not": "held",
    "warn": "warned",
}
"""What a rule that no passing of time satisfies says, by its force."""


def judge_restrictions(rule: RestrictionRule, attempt: Attempt, facts: Facts, now: datetime) -> Ruling:
    """Refuse while a restriction of the rule's kinds is in force on any loan that the attempt is about.

    A rule about places (12 CFR 1006.6(b)(3), the employer's) blocks at such a place, asks a person about a call to a
    place that nobody knows, and leaves messages, which reach a person rather than a place, with a warning.
    """
    hits = [
        restriction
        for restriction in facts.restrictions
        if restriction.kind in rule.kinds
        and restriction.since <= now
        and (restriction.until is None or now < restriction.until)
        and (not restriction.loans or not attempt.loans or any(loan in restriction.loans for loan in attempt.loans))
    ]
    if not hits:
        return Ruling(rule_id=rule.rule_id, result="passed")
    kinds = ",".join(sorted({restriction.kind for restriction in hits}))
    found = (("restriction", kinds), ("since", min(hit.since for hit in hits).isoformat()))
    if "reply" in rule.exceptions and answered_message(attempt, facts, now) is not None:
        return Ruling(rule_id=rule.rule_id, result="passed", facts=(*found, ("exception", "reply")))
    until = _all_until(hits)
    if rule.places is not None:
        return _at_place(rule, attempt, found, until)
    result = PROHIBITION[rule.force]
    if result == "blocked" and until is not None:
        return Ruling(rule_id=rule.rule_id, result="deferred", facts=found, until=until)
    return Ruling(rule_id=rule.rule_id, result=result, facts=found)


def judge_opt_outs(rule: OptOutRule, attempt: Attempt, facts: Facts, now: datetime) -> Ruling:
    """Refuse a channel or number that was opted out of, but for the exceptions that the rule names.

    Source: 12 CFR 1006.14(h), comments 14(h)(1)-2 and -3: one confirmation, and one answer where the person starts
    again on that medium. A later consent to the channel is the person saying otherwise. A third person who asked not
    to be called is left alone on that number whatever the channel.
    """
    hits = [opt_out for opt_out in facts.opt_outs if opt_out.since <= now and _refuses(opt_out, attempt)]
    if "channel_consent" in rule.exceptions:
        hits = [hit for hit in hits if not channel_consented_since(attempt, facts, hit.since, now)]
    if not hits:
        return Ruling(rule_id=rule.rule_id, result="passed")
    latest = max(hit.since for hit in hits)
    found = (("opted_out", attempt.channel), ("since", latest.isoformat()))
    if "opt_out_confirmation" in rule.exceptions and is_first_confirmation(attempt, facts, now):
        return Ruling(rule_id=rule.rule_id, result="passed", facts=(*found, ("exception", "opt_out_confirmation")))
    if "reply" in rule.exceptions:
        message = answered_message(attempt, facts, now)
        if message is not None and message.at >= latest:
            return Ruling(rule_id=rule.rule_id, result="passed", facts=(*found, ("exception", "reply")))
    return Ruling(rule_id=rule.rule_id, result=PROHIBITION[rule.force], facts=found)


def _refuses(opt_out: OptOut, attempt: Attempt) -> bool:
    same_number = opt_out.number_key is not None and opt_out.number_key == attempt.number_key
    if attempt.party != "borrower":
        return same_number
    return opt_out.channel == attempt.channel and (opt_out.number_key is None or same_number)


def _all_until(restrictions: list[Restriction]) -> datetime | None:
    latest: datetime | None = None
    for restriction in restrictions:
        if restriction.until is None:
            return None
        latest = restriction.until if latest is None else max(latest, restriction.until)
    return latest


def _at_place(
    rule: RestrictionRule, attempt: Attempt, found: tuple[tuple[str, str], ...], until: datetime | None
) -> Ruling:
    found = (*found, ("place", attempt.place or "unknown"))
    if attempt.place is None:
        result: RulingResult = "held" if attempt.channel in ("voice", "visit") else "warned"
    elif rule.places is not None and attempt.place in rule.places:
        result = PROHIBITION[rule.force]
    else:
        result = "passed"
    if result == "blocked" and until is not None:
        return Ruling(rule_id=rule.rule_id, result="deferred", facts=found, until=until)
    return Ruling(rule_id=rule.rule_id, result=result, facts=found)
