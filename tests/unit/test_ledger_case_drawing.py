from __future__ import annotations

from zoneinfo import ZoneInfo

from ledger.commands.case_drawing import local_instants, summary

SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_instants_inside_an_event_are_shown_in_the_zone_of_the_table() -> None:
    detail = {"made_at": "2026-09-16T02:00:24.617670Z", "provider": "sms-http", "as_of": "2026-09-16"}

    assert local_instants(detail, SHANGHAI) == detail | {"made_at": "2026-09-16 10:00:24"}


def test_one_day_past_due_is_a_day() -> None:
    overdue = {"outstanding": {"fees_minor": 1}, "overdue": {"fees_minor": 1}, "currency": "CNY", "days_past_due": 1}

    assert summary("loan-overdue", overdue) == "overdue CNY 0.01, 1 day past due, outstanding CNY 0.01"
    assert "2 days past due" in summary("loan-overdue", overdue | {"days_past_due": 2})


def test_a_stop_says_what_is_stopped_by_whom_and_why() -> None:
    stop = {"stop_id": "S-1", "kind": "channel", "value": "voice", "reason": "the menu is wrong"}

    assert summary("stop-ordered", stop | {"ordered_by": "op-1"}) == "channel voice, by op-1: the menu is wrong"
    assert (
        summary("stop-lifted", stop | {"lifted_by": "op-2", "kind": "all"})
        == "every contact, by op-2: the menu is wrong"
    )


def test_what_shadow_mode_would_have_sent_is_told_apart_from_every_contact_and_claims_none() -> None:
    ended = {"submission_number": 1, "channel": "sms", "contact_point_id": "CP-1", "provider": "sms-http"}

    assert (
        summary("contact-not-made", ended | {"reason": "shadow"})
        == "shadow mode: live it would have been sent by sms to CP-1; nothing was"
    )
    assert "reason revoked" in summary("contact-not-made", ended | {"reason": "revoked"})
