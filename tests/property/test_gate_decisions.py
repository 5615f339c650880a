"""What must hold of every decision, whatever the situation."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance_gate.adapters.evidence import evidence_of, replay
from compliance_gate.domain import Allowed, Attempt, Deferred, Denied, Facts, HeldForReview, Policy, decide
from compliance_gate.domain.opinions import opinion_at
from tests.property.gate_situations import MINUTE, PLAIN_BOOK, TENANT_BOOK, opt_outs, restrictions, situations

Situation = tuple[Attempt, Facts, Policy, datetime]
STEPS_EXACT_MAX = 1_500


def is_open(attempt: Attempt, facts: Facts, policy: Policy, at: datetime) -> bool:
    """Whether nothing but a person's look stands in the way at `at`."""
    return not any(
        ruling.result in ("blocked", "deferred") or (ruling.result == "held" and ruling.until is not None)
        for ruling in opinion_at(attempt, facts, policy, at).rulings
    )


@settings(max_examples=60)
@given(situations())
def test_the_next_legal_instant_is_the_first_minute_at_which_the_rules_let_go(situation: Situation) -> None:
    attempt, facts, policy, now = situation
    decision = decide(attempt, facts, policy, now)
    if not isinstance(decision, Deferred):
        return
    found = decision.next_legal_instant
    assert found > now
    if any(rule.rule_id == "platform.facts" for rule in decision.rules):
        return  # nobody knows when a fact will come: the gate is only asked again
    assert isinstance(decide(attempt, facts, policy, found), Allowed | HeldForReview)
    step = MINUTE * max(1, int((found - now) / MINUTE) // STEPS_EXACT_MAX)
    at = now
    while at < found:
        assert not is_open(attempt, facts, policy, at), at
        at += step
    at = max(now, found - 120 * MINUTE)
    while at < found:
        assert not is_open(attempt, facts, policy, at), at
        at += MINUTE


@settings(max_examples=150)
@given(situations())
def test_a_permit_ends_inside_the_time_in_which_every_minute_would_be_allowed(situation: Situation) -> None:
    attempt, facts, policy, now = situation
    decision = decide(attempt, facts, policy, now)
    if not isinstance(decision, Allowed):
        return
    assert now < decision.permit_expires_at <= min(attempt.expires_at, now + timedelta(minutes=30))
    at = now
    while at < decision.permit_expires_at:
        assert isinstance(decide(attempt, facts, policy, at), Allowed), at
        at += MINUTE
    last = decision.permit_expires_at - timedelta(microseconds=1)
    assert isinstance(decide(attempt, facts, policy, last), Allowed)
    margin = policy.terms.margin(attempt.channel)
    hours = [ruling for ruling in decision.rules if ruling.rule_id.endswith(".hours")]
    if margin and not any(name == "exception" for ruling in hours for name, _ in ruling.facts):
        plan = policy.plan_for(attempt.channel, attempt.party, now)
        assert plan.opens((1 << len(plan.windows)) - 1, decision.permit_expires_at + margin - MINUTE / 60) is not None


@settings(max_examples=150)
@given(situations())
def test_a_decision_is_the_same_again_and_its_evidence_replays(situation: Situation) -> None:
    attempt, facts, policy, now = situation
    decision = decide(attempt, facts, policy, now)
    copied_attempt = msgspec.json.decode(msgspec.json.encode(attempt), type=Attempt)
    copied_facts = msgspec.json.decode(msgspec.json.encode(facts), type=Facts)
    assert decide(copied_attempt, copied_facts, policy, now) == decision
    evidence = evidence_of(attempt, facts, policy, now, decision)
    assert evidence == evidence_of(copied_attempt, copied_facts, policy, now, decision)
    book = TENANT_BOOK if policy.stack.overlay else PLAIN_BOOK
    assert replay(evidence.record, book) == decision


@settings(max_examples=150)
@given(situations(), st.data())
def test_another_restriction_or_opt_out_never_turns_a_no_into_a_yes(situation: Situation, data: st.DataObject) -> None:
    attempt, facts, policy, now = situation
    restriction, opt_out = data.draw(restrictions(now)), data.draw(opt_outs(now))
    if attempt.purpose == "opt_out_confirmation":
        return  # an opt-out is what makes its confirmation lawful
    before = decide(attempt, facts, policy, now)
    more = msgspec.structs.replace(
        facts, restrictions=(*facts.restrictions, restriction), opt_outs=(*facts.opt_outs, opt_out)
    )
    after = decide(attempt, more, policy, now)
    if isinstance(after, Allowed):
        assert isinstance(before, Allowed)
        assert after.permit_expires_at <= before.permit_expires_at
    if isinstance(before, Denied):
        assert isinstance(after, Denied)


@settings(max_examples=100)
@given(situations(plain=True))
def test_the_tenant_overlay_never_allows_what_the_packs_refuse(situation: Situation) -> None:
    attempt, facts, _, now = situation
    plain = PLAIN_BOOK.resolve(facts.region, facts.zones, "agency")
    tenant = TENANT_BOOK.resolve(facts.region, facts.zones, "agency")
    if isinstance(decide(attempt, facts, tenant, now), Allowed):
        assert isinstance(decide(attempt, facts, plain, now), Allowed)
