"""Caps against a count that anyone can check by hand, and the fast count against the exact one."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings

from compliance_gate.domain import Attempt, Facts, PastContact, Policy
from compliance_gate.domain.caps import counted_contacts, free_again
from compliance_gate.domain.counting import count_all
from compliance_gate.domain.rules import CapRule
from tests.property.gate_situations import situations

CONNECTED = {"conversation", "dropped", "wrong_person", "voicemail", "sent", "delivered", "replied"}
UNCONNECTED = {"no_answer", "busy", "not_in_service", "failed"}


def shown(zone: str, instant: datetime) -> date:
    return instant.astimezone(ZoneInfo(zone)).date()


def is_counted_by_hand(cap: CapRule, attempt: Attempt, row: PastContact, loan: str | None) -> bool:
    if row.direction not in cap.directions or row.party not in cap.parties:
        return False
    if cap.channels is not None and row.channel not in cap.channels:
        return False
    if row.result is not None:
        if cap.counted_results is not None and row.result not in cap.counted_results:
            return False
        if cap.counted_results is None and cap.measure == "connected" and row.result not in CONNECTED:
            return False
        if cap.counted_results is None and cap.measure == "unconnected" and row.result not in UNCONNECTED:
            return False
        if cap.measure == "conversation" and row.result != "conversation":
            return False
    if cap.key == "number" and row.number_key not in (None, attempt.number_key):
        return False
    return loan is None or loan in row.loans


def in_window_by_hand(cap: CapRule, zones: tuple[str, ...], at: datetime, now: datetime) -> bool:
    for zone in zones:
        today, day = shown(zone, now), shown(zone, at)
        match cap.window.unit:
            case "minutes":
                if now - at < timedelta(minutes=cap.window.length):
                    return True
            case "calendar_day":
                if day == today:
                    return True
            case "rolling_dates":
                if (today - day).days < cap.window.length:
                    return True
            case "lifetime":
                return True
    return False


def count_by_hand(
    cap: CapRule, attempt: Attempt, facts: Facts, zones: tuple[str, ...], now: datetime, loan: str | None
) -> int:
    return sum(
        is_counted_by_hand(cap, attempt, row, loan) and in_window_by_hand(cap, zones, row.at, now)
        for row in facts.history
    )


@settings(max_examples=150)
@given(situations(plain=True))
def test_caps_count_what_a_hand_count_counts(situation: tuple[Attempt, Facts, Policy, datetime]) -> None:
    attempt, facts, policy, now = situation
    plan = policy.plan_for(attempt.channel, attempt.party, now)
    for cap, zones in zip(plan.caps, plan.cap_zones, strict=True):
        for loan in attempt.loans if cap.key == "loan" else (None,):
            rows = counted_contacts(cap, attempt, facts, zones, now, loan)
            assert len(rows) == count_by_hand(cap, attempt, facts, zones, now, loan), cap.rule_id


@settings(max_examples=200)
@given(situations(plain=True))
def test_the_fast_count_is_the_exact_count_wherever_a_cap_has_room(
    situation: tuple[Attempt, Facts, Policy, datetime],
) -> None:
    attempt, facts, policy, now = situation
    plan = policy.plan_for(attempt.channel, attempt.party, now)
    slot = next(slot for slot in plan.day(now.toordinal()).slots if now < slot.end)
    counts = count_all(plan, slot, attempt, facts, now)
    assert counts is not None
    for cap, zones, counted in zip(plan.caps, plan.cap_zones, counts, strict=True):
        loans = attempt.loans if cap.key == "loan" else (None,)
        exact = max(len(counted_contacts(cap, attempt, facts, zones, now, loan)) for loan in loans)
        if cap.window.unit != "minutes" or exact == 0:
            assert counted == exact, cap.rule_id
        else:
            assert counted >= min(exact, cap.limit), cap.rule_id


@settings(max_examples=150)
@given(situations(plain=True))
def test_a_full_cap_has_room_again_at_the_instant_it_names_and_not_a_microsecond_earlier(
    situation: tuple[Attempt, Facts, Policy, datetime],
) -> None:
    attempt, facts, policy, now = situation
    plan = policy.plan_for(attempt.channel, attempt.party, now)
    for cap, zones in zip(plan.caps, plan.cap_zones, strict=True):
        _, free, reached = free_again(cap, attempt, facts, zones, now)
        if not reached or free is None:
            continue
        assert free > now
        assert not free_again(cap, attempt, facts, zones, free)[2], cap.rule_id
        assert free_again(cap, attempt, facts, zones, free - timedelta(microseconds=1))[2], cap.rule_id
