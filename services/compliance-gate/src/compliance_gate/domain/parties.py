"""Whom a contact may go to other than the borrower, and at which numbers and places the borrower isn't to be sought."""

from __future__ import annotations

from datetime import datetime, timedelta

from compliance_gate.domain.facts import Attempt, Facts
from compliance_gate.domain.local_days import local_date
from compliance_gate.domain.restrictions import PROHIBITION
from compliance_gate.domain.rules import PartyRule, PlaceRule, WrongNumberRule
from compliance_gate.domain.verdicts import Ruling

_UNREACHED_DATES = 3


def judge_party(rule: PartyRule, facts: Facts, zones: tuple[str, ...], now: datetime) -> Ruling:
    """Apply the rule's force to a contact with another person, where its condition on reaching the borrower holds."""
    reachable = not _out_of_reach(facts, rule.zones_of(zones), now)
    if (rule.condition == "reachable" and not reachable) or (rule.condition == "unreachable" and reachable):
        return Ruling(rule_id=rule.rule_id, result="passed")
    found = (("borrower", "within reach" if reachable else "out of reach"),)
    return Ruling(rule_id=rule.rule_id, result=PROHIBITION[rule.force], facts=found)


def judge_wrong_number(rule: WrongNumberRule, attempt: Attempt, facts: Facts, now: datetime) -> Ruling:
    """Refuse a number at which somebody else was met last; ask a person where the borrower was met there before."""
    if attempt.number_key is None:
        return Ruling(rule_id=rule.rule_id, result="passed")
    met_before = False
    wrong_at: datetime | None = None
    for row in facts.history:
        if row.number_key != attempt.number_key or row.party != "borrower" or row.at > now:
            continue
        if row.result == "conversation":
            if wrong_at is None:
                return Ruling(rule_id=rule.rule_id, result="passed")
            met_before = True
        elif row.result == "wrong_person" and wrong_at is None:
            wrong_at = row.at
    if wrong_at is None:
        return Ruling(rule_id=rule.rule_id, result="passed")
    found = (("wrong_person_at", wrong_at.isoformat()),)
    return Ruling(rule_id=rule.rule_id, result="held" if met_before else PROHIBITION[rule.force], facts=found)


def judge_place(rule: PlaceRule, attempt: Attempt) -> Ruling:
    """Refuse a kind of place that the rule names."""
    if attempt.place is None or attempt.place not in rule.places:
        return Ruling(rule_id=rule.rule_id, result="passed")
    return Ruling(rule_id=rule.rule_id, result=PROHIBITION[rule.force], facts=(("place", attempt.place),))


def _out_of_reach(facts: Facts, zones: tuple[str, ...], now: datetime) -> bool:
    """Whether the borrower died, or was called in vain on each of three dates in a row, the last of them yesterday or
    today, and wasn't met since. It is the stricter of two readings of the bankers' association guideline.
    """
    if any(row.kind == "deceased" and row.since <= now for row in facts.restrictions):
        return True
    zone = zones[0]
    today = local_date(zone, now)
    in_vain = set()
    for row in facts.history:
        if row.party != "borrower" or row.at > now:
            continue
        if row.direction == "inbound" or row.result in (None, "conversation", "dropped", "replied"):
            break
        if row.channel == "voice" and row.result in ("no_answer", "busy", "not_in_service"):
            in_vain.add(local_date(zone, row.at))
    before_today = [day for day in in_vain if day < today]
    if not before_today:
        return False
    last = max(before_today)
    return last >= today - timedelta(days=1) and all(
        last - timedelta(days=back) in in_vain for back in range(_UNREACHED_DATES)
    )
