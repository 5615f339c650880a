"""Decisions one by one: hours and holidays, permits, caps of the lender, holds, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from compliance_gate.domain import (
    Allowed,
    Approval,
    Consent,
    Deferred,
    Denied,
    HeldForReview,
    InboundMessage,
    OptOut,
    Restriction,
    decide,
)
from tests.unit.gate_cases import BOOK, PLAIN_BOOK, TUESDAY, attempt, beijing, contact, decided, deferred, facts

# Hours and holidays of the lender's policy


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-09-15T08:59", "2026-09-15T09:00"),
        ("2026-09-15T20:00", "2026-09-16T09:00"),
        ("2026-09-19T09:59", "2026-09-19T10:00"),
        ("2026-09-19T18:00", "2026-09-20T09:00"),
        ("2026-09-24T20:00", "2026-09-28T09:00"),
        ("2026-10-04T10:00", "2026-10-08T09:00"),
        ("2026-02-14T20:30", "2026-02-24T09:00"),
    ],
)
def test_chinese_hours_know_breaks_and_make_up_workdays(at: str, opens: str) -> None:
    assert deferred(decided(beijing(at))) == ("courteous.hours", beijing(opens))


@pytest.mark.parametrize("at", ["2026-09-20T19:00", "2026-10-10T09:00", "2026-09-19T17:00", "2026-09-15T19:54"])
def test_chinese_hours_are_open_on_workdays_and_make_up_workdays(at: str) -> None:
    assert isinstance(decided(beijing(at)), Allowed)


def test_federal_holidays_close_the_day_actual_and_observed() -> None:
    known = facts(region="US-NY", zones=("America/New_York",))
    rule, opens = deferred(decided(datetime(2026, 7, 3, 15, tzinfo=UTC), known=known))
    assert (rule, opens) == ("courteous.hours", datetime(2026, 7, 5, 14, tzinfo=UTC))


def test_holidays_of_the_regions_and_the_zones_countries_both_count() -> None:
    known = facts(region="US-NY", zones=("America/New_York",))
    assert isinstance(decided(datetime(2026, 10, 1, 15, tzinfo=UTC), known=known), Allowed)
    abroad = facts(region="CN", zones=("America/New_York",))
    assert isinstance(decided(datetime(2026, 10, 1, 15, tzinfo=UTC), known=abroad), Deferred)
    assert isinstance(decided(datetime(2026, 11, 26, 15, tzinfo=UTC), known=abroad), Deferred)


def test_past_the_official_calendar_the_attempt_is_held() -> None:
    assert deferred(decided(beijing("2026-12-30T21:00")))[1] == beijing("2026-12-31T09:00")
    for at in ("2026-12-31T21:00", "2027-01-05T10:00"):
        decision = decided(beijing(at), asked=attempt(expires_at=datetime(2028, 1, 1, tzinfo=UTC)))
        assert isinstance(decision, HeldForReview)
        assert decision.deciding_rule == "platform.calendar"


def test_a_country_without_an_official_calendar_is_held() -> None:
    decision = decided(known=facts(zones=("Asia/Tokyo",)))
    assert isinstance(decision, HeldForReview)
    assert decision.deciding_rule == "platform.calendar"


def test_a_region_without_a_pack_is_held() -> None:
    decision = decided(known=facts(region="FR", zones=("Europe/Paris",)))
    assert isinstance(decision, HeldForReview)
    assert decision.deciding_rule == "platform.policy"


def test_zones_that_share_no_legal_hour_are_held() -> None:
    decision = decided(known=facts(zones=("America/New_York", "Asia/Shanghai")))
    assert isinstance(decision, HeldForReview)
    assert decision.deciding_rule == "platform.horizon"


# Permits


def test_a_permit_ends_before_the_window_by_the_channels_margin() -> None:
    decision = decided(beijing("2026-09-15T19:45"), asked=attempt(channel="voice"))
    assert isinstance(decision, Allowed)
    assert decision.permit_expires_at == beijing("2026-09-15T19:50")
    rule, opens = deferred(decided(beijing("2026-09-15T19:50"), asked=attempt(channel="voice")))
    assert (rule, opens) == ("platform.permit", beijing("2026-09-16T09:00"))


def test_a_permit_ends_with_the_attempt_and_with_its_longest_time() -> None:
    soon = attempt(expires_at=TUESDAY + timedelta(minutes=7))
    decision = decided(asked=soon)
    assert isinstance(decision, Allowed)
    assert decision.permit_expires_at == soon.expires_at
    longest = decided()
    assert isinstance(longest, Allowed)
    assert longest.permit_expires_at == TUESDAY + timedelta(minutes=30)


def test_a_permit_ends_at_the_borrowers_midnight_in_any_zone() -> None:
    known = facts(region="US-NY", zones=("America/Chicago", "America/New_York"))
    at = datetime(2026, 9, 16, 3, 50, tzinfo=UTC)
    decision = decide(attempt(), known, PLAIN_BOOK.resolve("US-NY", known.zones, "lender"), at)
    assert isinstance(decision, Allowed)
    assert decision.permit_expires_at == datetime(2026, 9, 16, 4, tzinfo=UTC)


# The lender's caps


@pytest.mark.parametrize(
    ("past", "channel", "rule", "opens"),
    [
        ([("2026-09-15T09:10", "sms")], "sms", "courteous.sms-a-day", "2026-09-16T09:00"),
        ([("2026-09-09T19:00", "sms"), ("2026-09-11T09:00", "sms"), ("2026-09-14T09:00", "sms")], "sms",
         "courteous.sms-in-seven-days", "2026-09-16T09:00"),
        ([("2026-09-15T09:10", "voice"), ("2026-09-15T09:40", "voice")], "voice", "courteous.calls-a-day",
         "2026-09-16T09:00"),
        ([(f"2026-09-{day}T10:00", "email") for day in (10, 11, 12, 13, 14)], "sms",
         "courteous.contacts-in-seven-days", "2026-09-17T09:00"),
        ([(f"2026-09-{day}T10:00", "visit") for day in (10, 11, 12, 13, 14)], "voice",
         "courteous.contacts-in-seven-days", "2026-09-17T09:00"),
    ],
)  # fmt: skip
def test_the_lenders_caps_count_dates(past: list[tuple[str, Any]], channel: Any, rule: str, opens: str) -> None:
    rows = [contact(beijing(at), channel=each, result=None, state="external", by="agency") for at, each in past]
    known = facts(history=tuple(sorted(rows, key=lambda row: row.at, reverse=True)))
    assert deferred(decided(asked=attempt(channel=channel), known=known)) == (rule, beijing(opens))


def test_a_reservation_counts_for_the_next_attempt_of_the_batch() -> None:
    known = facts()
    assert isinstance(decided(known=known), Allowed)
    known = known.after(contact(TUESDAY, state="reserved", result=None))
    assert deferred(decided(known=known))[0] == "courteous.sms-a-day"


def test_one_answer_to_each_message_in_its_medium_is_not_counted_and_is_allowed() -> None:
    asked_at = beijing("2026-09-15T09:30")
    message = InboundMessage(message_id="m", at=asked_at, channel="sms", number_key="n")
    known = facts(history=(contact(beijing("2026-09-15T09:10")),), inbound=(message,))
    answer = attempt(purpose="reply", reply_to="m", amounts=())
    assert isinstance(decided(asked=answer, known=known), Allowed)
    answered = known.after(contact(TUESDAY, purpose="reply", reply_to="m"))
    assert deferred(decided(asked=answer, known=answered))[0] == "courteous.sms-a-day"
    only_answers = facts(
        history=(contact(beijing("2026-09-15T09:40"), purpose="reply", reply_to="m"),), inbound=(message,)
    )
    assert isinstance(decided(known=only_answers), Allowed)
    call = attempt(channel="voice", purpose="reply", reply_to="m", amounts=())
    calls = tuple(contact(beijing(f"2026-09-15T09:{at}"), channel="voice", result="no_answer") for at in (20, 10))
    assert deferred(decided(asked=call, known=facts(history=calls, inbound=(message,))))[0] == "courteous.calls-a-day"


@pytest.mark.parametrize(
    "message",
    [
        InboundMessage(message_id="m", at=beijing("2026-09-15T09:30"), channel="sms", number_key="another"),
        InboundMessage(message_id="m", at=beijing("2026-09-15T09:30"), channel="sms", party="third_party"),
    ],
    ids=["another number", "another person"],
)
def test_an_answer_goes_back_to_who_wrote_and_to_that_number_or_it_is_counted(message: InboundMessage) -> None:
    answer = attempt(purpose="reply", reply_to="m", amounts=())
    known = facts(history=(contact(beijing("2026-09-15T09:00")),), inbound=(message,))
    assert deferred(decided(asked=answer, known=known))[0] == "courteous.sms-a-day"
    sent = contact(beijing("2026-09-15T09:40"), purpose="reply", reply_to="m")
    assert deferred(decided(known=facts(history=(sent,), inbound=(message,))))[0] == "courteous.sms-a-day"


@pytest.mark.parametrize(
    ("consent", "allowed"),
    [({"loans": ("L1",)}, False), ({}, True)],
    ids=["for one loan", "for all"],
)
def test_an_attempt_about_no_loan_has_only_the_consents_that_are_about_all(
    consent: dict[str, Any], allowed: bool
) -> None:
    given = Consent(kind="channel", channel="sms", since=beijing("2026-09-10T10:00"), **consent)
    opted_out = OptOut(channel="sms", since=beijing("2026-09-01T10:00"))
    known = facts(consents=(given,), opt_outs=(opted_out,))
    told = decided(book=PLAIN_BOOK, asked=attempt(loans=(), amounts=()), known=known)
    assert isinstance(told, Allowed if allowed else Denied)


def test_a_confirmation_waits_for_the_opt_out_that_it_speaks_of() -> None:
    confirmation = attempt(purpose="opt_out_confirmation", amounts=())
    told = decided(asked=confirmation)
    assert deferred(told)[0] == "platform.facts"
    on_calls = facts(opt_outs=(OptOut(channel="voice", since=TUESDAY),))
    assert deferred(decided(asked=confirmation, known=on_calls))[0] == "platform.facts"


def test_one_confirmation_of_an_opt_out_is_allowed_and_nothing_else() -> None:
    known = facts(history=(contact(beijing("2026-09-15T09:10")),), opt_outs=(OptOut(channel="sms", since=TUESDAY),))
    confirmation = attempt(purpose="opt_out_confirmation", amounts=())
    assert isinstance(decided(asked=confirmation, known=known), Allowed)
    assert isinstance(decided(known=known), Denied)
    confirmed = known.after(contact(TUESDAY, purpose="opt_out_confirmation"))
    assert isinstance(decided(asked=confirmation, known=confirmed), Denied)


# Holds


def test_what_is_held_is_allowed_once_a_person_approved_that_rule_and_no_other() -> None:
    known = facts(restrictions=(Restriction(kind="vulnerable", since=TUESDAY),))
    held = decided(known=known)
    assert isinstance(held, HeldForReview)
    rules = tuple(ruling.rule_id for ruling in held.rules if ruling.result == "held")
    approval = Approval(approved_by="kim", reason="spoke to the carer", rule_ids=rules)
    approved = decided(asked=attempt(approval=approval), known=known)
    assert isinstance(approved, Allowed)
    assert set(approved.warnings) == set(rules)
    partly = msgspec.structs.replace(approval, rule_ids=rules[:1])
    assert isinstance(decided(asked=attempt(approval=partly), known=known), HeldForReview)
    at_night = decided(beijing("2026-09-15T23:00"), asked=attempt(approval=approval), known=known)
    assert isinstance(at_night, Deferred)


def test_unanswered_calls_to_a_shared_number_count_for_everybody_who_has_it() -> None:
    others = tuple(
        contact(
            beijing(f"2026-09-15T{9 - minute // 60:02}:{59 - minute}"),
            channel="voice",
            result="no_answer",
            contact_id=f"o{minute}",
        )
        for minute in range(6)
    )
    call = attempt(channel="voice")
    decision = decided(asked=call, known=facts(number_contacts=others))
    assert isinstance(decision, HeldForReview)
    assert decision.deciding_rule == "cn.unanswered-attempts"
    assert decision.next_legal_instant == beijing("2026-09-16T09:00")


def test_a_contact_with_another_person_needs_a_rule_that_allows_it() -> None:
    policy = PLAIN_BOOK.resolve("US-NY", ("America/New_York",), "lender")
    known = facts(region="US-NY", zones=("America/New_York",))
    decision = decide(attempt(party="third_party"), known, policy, datetime(2026, 9, 15, 15, tzinfo=UTC))
    assert isinstance(decision, HeldForReview)
    assert decision.deciding_rule == "platform.party"


# What must not be given


def test_past_contacts_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="newest first"):
        facts(history=(contact(TUESDAY - timedelta(days=1)), contact(TUESDAY)))


def test_facts_of_another_borrower_or_of_other_zones_are_refused() -> None:
    policy = BOOK.resolve("CN", ("Asia/Shanghai",))
    with pytest.raises(ValueError, match="same borrower"):
        decide(attempt(borrower_id="x"), facts(), policy, TUESDAY)
    with pytest.raises(ValueError, match="same borrower"):
        decide(attempt(), facts(zones=("Asia/Urumqi",)), policy, TUESDAY)
