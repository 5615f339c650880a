"""Decisions one by one: what is missing, what is due, stops, holidays, caps of the lender, permits, holds, evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.domain import (
    Allowed,
    Approval,
    Attempt,
    AttemptAmount,
    Consent,
    Decision,
    Deferred,
    Denied,
    Facts,
    HeldForReview,
    InboundMessage,
    LoanFacts,
    OptOut,
    PastContact,
    Restriction,
    Stop,
    UnpostedPayment,
    decide,
)
from compliance_gate.evidence import EvidenceMismatch, EvidenceRecord, evidence_of, replay
from compliance_gate.policy.book import PolicyBook, load_packs
from compliance_gate.sentences import sentence

PACKS = load_packs()
BOOK = PolicyBook(PACKS, OfficialCalendars(), overlay="courteous")
PLAIN_BOOK = PolicyBook(PACKS, OfficialCalendars())
LOAN = LoanFacts(loan_id="L1", overdue_minor=5000, outstanding_minor=90000, currency="CNY", balance_version=7)
AMOUNT = AttemptAmount(loan_id="L1", amount_minor=5000, currency="CNY", balance_version=7)


def beijing(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}:00+08:00").astimezone(UTC)


TUESDAY = beijing("2026-09-15T10:00")


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "borrower_id": "b", "lag_seconds": 0, "region": "CN", "zones": ("Asia/Shanghai",), "loans": (LOAN,), **changes
    }  # fmt: skip
    return Facts(**values)


def attempt(**changes: Any) -> Attempt:
    values: dict[str, Any] = {
        "attempt_id": "a", "submission_number": 1, "borrower_id": "b", "channel": "sms", "loans": ("L1",),
        "number_key": "n", "expires_at": datetime(2027, 6, 1, tzinfo=UTC), "amounts": (AMOUNT,), **changes,
    }  # fmt: skip
    return Attempt(**values)


def contact(at: datetime, **changes: Any) -> PastContact:
    values: dict[str, Any] = {
        "contact_id": f"c{at.timestamp()}", "at": at, "channel": "sms", "result": "delivered", "loans": ("L1",),
        "number_key": "n", **changes,
    }  # fmt: skip
    return PastContact(**values)


def decided(
    at: datetime = TUESDAY, *, book: PolicyBook = BOOK, asked: Attempt | None = None, known: Facts | None = None
) -> Decision:
    known = known or facts()
    return decide(asked or attempt(), known, book.resolve(known.region, known.zones), at)


def deferred(decision: Decision) -> tuple[str, datetime]:
    assert isinstance(decision, Deferred), decision
    return decision.deciding_rule, decision.next_legal_instant


# What is missing or out of date


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        (facts(known=False), attempt()),
        (facts(region=None), attempt()),
        (facts(zones=()), attempt()),
        (facts(), attempt(number_key=None)),
        (facts(loans=()), attempt()),
        (facts(lag_seconds=301), attempt()),
    ],
)
def test_a_missing_or_late_fact_puts_the_attempt_off_for_a_while(known: Facts, asked: Attempt) -> None:
    rule, opens = deferred(decided(asked=asked, known=known))
    assert rule == "platform.facts"
    assert opens == TUESDAY + timedelta(minutes=15)


def test_a_missing_fact_at_night_waits_for_the_morning() -> None:
    _, opens = deferred(decided(beijing("2026-09-15T23:00"), known=facts(lag_seconds=301)))
    assert opens == beijing("2026-09-16T09:00")


def test_a_stale_balance_is_deferred() -> None:
    stale = attempt(amounts=(msgspec.structs.replace(AMOUNT, balance_version=6),))
    assert deferred(decided(asked=stale))[0] == "platform.amounts"


def test_nothing_due_by_the_balance_that_the_attempt_names_or_a_newer_one_denies() -> None:
    nothing = facts(loans=(msgspec.structs.replace(LOAN, overdue_minor=0),))
    for version in (7, 6):
        asked = attempt(amounts=(msgspec.structs.replace(AMOUNT, balance_version=version),))
        decision = decided(asked=asked, known=nothing)
        assert isinstance(decision, Denied)
        assert decision.deciding_rule == "platform.due"


def test_nothing_due_by_an_older_balance_than_the_attempt_names_only_waits_for_the_newer_one() -> None:
    nothing = facts(loans=(msgspec.structs.replace(LOAN, overdue_minor=0),))
    newer = attempt(amounts=(msgspec.structs.replace(AMOUNT, balance_version=8),))
    assert deferred(decided(asked=newer, known=nothing)) == ("platform.amounts", TUESDAY + timedelta(minutes=1))


def test_a_payment_that_is_not_booked_yet_defers_what_it_may_pay() -> None:
    for loan_id in ("L1", None):
        known = facts(unposted_payments=(UnpostedPayment(payment_id="p", loan_id=loan_id),))
        assert deferred(decided(known=known))[0] == "platform.payment"
    other = facts(unposted_payments=(UnpostedPayment(payment_id="p", loan_id="L2"),))
    assert isinstance(decided(known=other), Allowed)


def late(**changes: Any) -> Facts:
    told = {
        "loan_id": "L1",
        "until": TUESDAY + timedelta(hours=2),
        "balance_version": 7,
        "snapshot_version": 7,
        **changes,
    }
    return facts(unposted_payments=(UnpostedPayment(payment_id="p", **told),))


@pytest.mark.parametrize("purpose", ["demand", "reminder"])
@pytest.mark.parametrize("version", [7, 8, None])
def test_a_payment_that_the_balance_does_not_show_defers_until_its_time_has_passed(
    purpose: str, version: int | None
) -> None:
    known, asked = late(balance_version=version), attempt(purpose=purpose)
    assert deferred(decided(known=known, asked=asked)) == ("platform.payment", TUESDAY + timedelta(hours=2))
    last = decided(TUESDAY + timedelta(hours=2, seconds=-1), known=known, asked=asked)
    assert deferred(last)[0] == "platform.payment"
    assert isinstance(decided(TUESDAY + timedelta(hours=2), known=known, asked=asked), Allowed)


def test_a_newer_snapshot_ends_the_wait_for_a_payment_that_the_balance_did_not_show() -> None:
    assert isinstance(decided(known=late(balance_version=6)), Allowed)


def test_a_balance_that_another_payment_made_ends_no_wait() -> None:
    """The loan's balance has version 7, which was a payment; the lender's last snapshot gave version 5."""
    known = late(balance_version=6, snapshot_version=5)
    assert deferred(decided(known=known)) == ("platform.payment", TUESDAY + timedelta(hours=2))


def test_in_a_record_from_before_snapshots_were_told_apart_any_newer_balance_ends_the_wait() -> None:
    assert isinstance(decided(known=late(balance_version=6, snapshot_version=None)), Allowed)
    assert deferred(decided(known=late(snapshot_version=None)))[0] == "platform.payment"


def test_a_payment_that_the_balance_does_not_show_defers_nothing_about_another_loan_and_no_reply() -> None:
    assert isinstance(decided(known=late(loan_id="L2")), Allowed)
    reply = attempt(purpose="reply", amounts=())
    assert not any(ruling.rule_id == "platform.payment" for ruling in decided(known=late(), asked=reply).rules)


@pytest.mark.parametrize(
    ("loan", "purpose", "verdict"),
    [
        ({"overdue_minor": 0}, "demand", Denied),
        ({"overdue_minor": 0}, "reminder", Allowed),
        ({"overdue_minor": 0, "outstanding_minor": 0}, "reminder", Denied),
        ({"closed": True}, "demand", Denied),
        ({"closed": True}, "reminder", Denied),
    ],
)
def test_nothing_is_asked_for_where_nothing_is_due(loan: dict[str, Any], purpose: str, verdict: type) -> None:
    known = facts(loans=(msgspec.structs.replace(LOAN, **loan),))
    assert isinstance(decided(asked=attempt(purpose=purpose), known=known), verdict)


def test_a_closed_loan_among_open_ones_is_planned_again() -> None:
    closed = msgspec.structs.replace(LOAN, loan_id="L2", closed=True)
    assert (
        deferred(decided(asked=attempt(loans=("L1", "L2")), known=facts(loans=(LOAN, closed))))[0] == "platform.amounts"
    )


def test_an_answer_without_amounts_needs_no_balance() -> None:
    assert isinstance(decided(asked=attempt(purpose="reply", amounts=()), known=facts(loans=())), Allowed)


def test_an_expired_attempt_is_denied() -> None:
    assert isinstance(decided(asked=attempt(expires_at=TUESDAY)), Denied)


@pytest.mark.parametrize(
    ("scope", "value", "stopped"),
    [
        ("all", None, True), ("channel", "sms", True), ("channel", "voice", False), ("provider", "p1", True),
        ("provider", "p2", False), ("strategy", "s1", True), ("strategy", "s2", False), ("borrower", "b", True),
        ("borrower", "other", False),
    ],
)  # fmt: skip
def test_a_stop_denies_what_it_covers(scope: Any, value: str | None, stopped: bool) -> None:
    known = facts(stops=(Stop(scope=scope, value=value, reason="drill"),))
    decision = decided(asked=attempt(provider="p1", strategy="s1"), known=known)
    assert isinstance(decision, Denied if stopped else Allowed)


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


# Sentences and evidence


def test_sentences_name_the_rule_and_the_local_time_in_both_languages() -> None:
    known = facts(history=(contact(beijing("2026-09-15T09:10")),))
    policy = BOOK.resolve("CN", ("Asia/Shanghai",))
    decision = decide(attempt(), known, policy, TUESDAY)
    english, chinese = (sentence(decision, attempt(), policy, language) for language in ("en", "zh"))
    assert "must wait until Wednesday 2026-09-16 09:00 (Asia/Shanghai)" in english
    assert "at most one text message a day (1 counted of 1) [courteous.sms-a-day]" in english
    assert "须推迟至2026年9月16日（周三）09:00（Asia/Shanghai）" in chinese
    assert "每日短信至多一条" in chinese
    denied = decide(attempt(), facts(stops=(Stop(scope="all", reason="drill"),)), policy, TUESDAY)
    assert sentence(denied, attempt(), policy, "zh").startswith("本次短信不得进行")


def test_evidence_replays_and_every_change_of_it_is_found() -> None:
    policy = BOOK.resolve("CN", ("Asia/Shanghai",))
    known = facts(history=(contact(beijing("2026-09-15T09:10")),))
    decision = decide(attempt(), known, policy, TUESDAY)
    evidence = evidence_of(attempt(), known, policy, TUESDAY, decision)
    assert replay(evidence.record, BOOK) == decision
    with pytest.raises(EvidenceMismatch, match="another decision"):
        replay(evidence.record.replace(b'"at":"2026-09-15T01:10:00Z"', b'"at":"2026-09-14T01:10:00Z"'), BOOK)
    with pytest.raises(EvidenceMismatch, match="have changed"):
        replay(evidence.record.replace(policy.policy_hash.encode(), b"0" * 64), BOOK)
    with pytest.raises(EvidenceMismatch, match="not an evidence record"):
        replay(evidence.record[:-2], BOOK)


def test_the_record_is_the_canonical_encoding_of_its_parts() -> None:
    policy = BOOK.resolve("CN", ("Asia/Shanghai",))
    for known in (facts(), facts(history=(contact(beijing("2026-09-15T09:10")),))):
        decision = decide(attempt(), known, policy, TUESDAY)
        record = evidence_of(attempt(), known, policy, TUESDAY, decision).record
        assert msgspec.json.encode(msgspec.json.decode(record, type=EvidenceRecord)) == record
        assert evidence_of(attempt(), known, policy, TUESDAY, decision).record == record
