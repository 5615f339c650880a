from datetime import timedelta
from typing import Any

import pytest

from tests.unit.scheduler_cases import (
    at,
    balance,
    deferred,
    denied,
    held,
    made,
    not_made,
    restriction,
    reviewed,
    submitted_once,
    unknown,
)


def test_a_deferred_attempt_is_due_at_the_next_legal_instant_under_the_next_number() -> None:
    desk, first = submitted_once()
    desk.hears(deferred(first, on=at(11, 9), until=at(12, 1)), now=at(11, 9))
    assert not desk.releases(now=at(12, 0, 59)).submissions
    (second,) = desk.releases(now=at(12, 1)).submissions
    assert (second.attempt_id, second.submission_number) == (first.attempt_id, 2)


def test_a_deferral_without_an_instant_asks_again_after_a_quarter_of_an_hour() -> None:
    desk, first = submitted_once()
    desk.hears(deferred(first, on=at(11, 9), until=None), now=at(11, 9))
    assert desk.attempt(first.attempt_id).due_at == at(11, 9, 15)


def test_a_deferral_to_this_very_instant_does_not_go_round_at_once() -> None:
    desk, first = submitted_once()
    desk.hears(deferred(first, on=at(11, 9), until=at(11, 9)), now=at(11, 9))
    assert not desk.releases(now=at(11, 9)).submissions


def test_a_deferral_beyond_the_expiry_ends_the_attempt() -> None:
    desk, first = submitted_once()
    desk.hears(deferred(first, on=at(11, 9), until=first.expires_at), now=at(11, 9))
    assert (desk.attempt(first.attempt_id).state, desk.attempt(first.attempt_id).end_reason) == ("ended", "expired")


def test_an_attempt_that_nobody_released_in_time_ends_as_expired_and_the_next_step_goes_on() -> None:
    desk, first = submitted_once()
    desk.hears(deferred(first, on=at(11, 9), until=at(12, 1)), now=at(11, 9))
    released = desk.releases(now=first.expires_at)
    assert [(a.attempt_id, a.end_reason) for a in released.ended] == [(first.attempt_id, "expired")]
    assert not released.submissions
    assert [a.step_key for a in desk.planned] == ["day-004-sms"]


def test_a_deferred_attempt_that_is_not_wanted_any_more_waits_and_ends_at_its_expiry() -> None:
    desk, first = submitted_once()
    desk.hears(deferred(first, on=at(11, 9), until=at(12, 1)), now=at(11, 9))
    desk.learns(balance(2, overdue_minor=0), now=at(11, 10))
    assert not desk.releases(now=at(12, 2)).submissions
    assert [a.end_reason for a in desk.releases(now=first.expires_at).ended] == ["not_wanted"]


def test_a_deferred_attempt_is_wanted_again_when_the_payment_did_not_hold() -> None:
    desk, first = submitted_once()
    desk.hears(deferred(first, on=at(11, 9), until=at(12, 1)), now=at(11, 9))
    desk.learns(balance(2, overdue_minor=0), now=at(11, 10)).learns(balance(3), now=at(11, 11))
    (second,) = desk.releases(now=at(12, 1)).submissions
    assert (second.attempt_id, second.submission_number) == (first.attempt_id, 2)


def test_a_held_attempt_waits_for_a_person_and_an_approval_travels_with_every_further_submission() -> None:
    desk, first = submitted_once()
    desk.hears(held(first, on=at(11, 9)), now=at(11, 9))
    assert not desk.releases(now=at(11, 12)).submissions
    desk.hears(reviewed(first, on=at(11, 13), approved=True), now=at(11, 13))
    (second,) = desk.releases(now=at(11, 13)).submissions
    assert second.submission_number == 2
    assert second.approval is not None
    assert second.approval.decision_id == "d-1"
    desk.hears(deferred(second, on=at(11, 13), until=at(12, 1)), now=at(11, 13))
    assert desk.releases(now=at(12, 1)).submissions[0].approval == second.approval


def test_a_review_that_arrives_before_the_hold_counts_and_the_late_hold_changes_nothing() -> None:
    desk, first = submitted_once()
    desk.hears(reviewed(first, on=at(11, 10), approved=True), now=at(11, 10))
    desk.hears(held(first, on=at(11, 9)), now=at(11, 10))
    assert len(desk.releases(now=at(11, 10)).submissions) == 1


def test_a_refused_attempt_ends() -> None:
    desk, first = submitted_once()
    desk.hears(held(first, on=at(11, 9)), now=at(11, 9))
    desk.hears(reviewed(first, on=at(11, 10), approved=False), now=at(11, 10))
    assert desk.attempt(first.attempt_id).end_reason == "refused"


def test_a_held_attempt_ends_at_its_expiry() -> None:
    desk, first = submitted_once()
    desk.hears(held(first, on=at(11, 9)), now=at(11, 9))
    assert [a.end_reason for a in desk.releases(now=first.expires_at).ended] == ["expired"]


@pytest.mark.parametrize("reason", ["revoked", "permit_expired", "stopped", "no_provider"])
def test_a_permit_that_ended_unused_lets_the_attempt_be_submitted_again(reason: Any) -> None:
    desk, first = submitted_once()
    desk.hears(not_made(first, on=at(11, 9), reason=reason), now=at(11, 9))
    (second,) = desk.releases(now=at(11, 9, 15)).submissions
    assert (second.attempt_id, second.submission_number) == (first.attempt_id, 2)


@pytest.mark.parametrize("reason", ["rejected", "no_contact_point", "template_failed"])
def test_an_attempt_that_could_only_fail_again_ends(reason: Any) -> None:
    desk, first = submitted_once()
    desk.hears(not_made(first, on=at(11, 9), reason=reason), now=at(11, 9))
    assert desk.attempt(first.attempt_id).end_reason == reason


def test_a_revoked_attempt_is_not_submitted_again_while_the_restriction_holds() -> None:
    desk, first = submitted_once()
    desk.learns(restriction("attorney"), now=at(11, 9))
    desk.hears(not_made(first, on=at(11, 9), reason="revoked"), now=at(11, 9))
    assert not desk.releases(now=at(12)).submissions


def test_a_step_that_was_denied_under_a_restriction_may_be_asked_again_once_it_is_lifted() -> None:
    desk, first = submitted_once()
    desk.learns(restriction("attorney"), now=at(11, 9)).hears(denied(first, on=at(11, 9)), now=at(11, 9))
    desk.learns(restriction("attorney", active=False), now=at(11, 10))
    (again,) = desk.planned
    assert (again.step_key, again.plan_number) == (first.step_key, 2)
    assert again.attempt_id != first.attempt_id


def test_a_step_that_was_shadowed_is_taken_and_is_not_planned_again_in_its_episode() -> None:
    desk, first = submitted_once()
    desk.hears(not_made(first, on=at(11, 9), reason="shadow"), now=at(11, 9))
    assert (desk.attempt(first.attempt_id).state, desk.attempt(first.attempt_id).end_reason) == ("shadowed", None)
    desk.learns(restriction("attorney"), now=at(11, 9)).learns(restriction("attorney", active=False), now=at(11, 10))
    assert [a.step_key for a in desk.planned] == ["day-004-sms"]


def test_a_shadowed_step_stays_taken_whatever_else_its_permits_are_said_to_have_come_to() -> None:
    desk, first = submitted_once()
    desk.hears(deferred(first, on=at(11, 9), until=at(12, 1)), now=at(11, 9))
    for report in (not_made(first, on=at(11, 9), reason="shadow"), not_made(first, on=at(11, 9), reason="revoked")):
        desk.hears(report, now=at(11, 9))
        assert desk.attempt(first.attempt_id).state == "shadowed"
    desk.hears(unknown(first, on=at(11, 9)), now=at(11, 9))
    assert desk.attempt(first.attempt_id).state == "unknown"
    desk.hears(not_made(first, on=at(11, 9), reason="shadow"), now=at(11, 9))
    assert desk.attempt(first.attempt_id).state == "unknown"


def test_made_wins_over_unknown_and_unknown_over_every_other_end() -> None:
    desk, first = submitted_once()
    desk.hears(not_made(first, on=at(11, 9), reason="revoked"), now=at(11, 9))
    desk.hears(unknown(first, on=at(11, 9)), now=at(11, 9))
    assert desk.attempt(first.attempt_id).state == "unknown"
    desk.hears(made(first, on=at(11, 9)), now=at(11, 9)).hears(unknown(first, on=at(11, 9)), now=at(11, 9))
    assert desk.attempt(first.attempt_id).state == "made"
    assert not desk.releases(now=at(11, 10)).submissions


def test_a_report_about_an_earlier_submission_changes_nothing() -> None:
    desk, first = submitted_once()
    desk.hears(deferred(first, on=at(11, 9), until=at(12, 1)), now=at(11, 9))
    (second,) = desk.releases(now=at(12, 1)).submissions
    before = desk.attempt(second.attempt_id)
    for late in (
        denied(first, on=at(11, 9)),
        deferred(first, on=at(11, 9), until=at(12, 1)),
        not_made(first, on=at(11, 9), reason="rejected"),
    ):
        desk.hears(late, now=at(12, 1) + timedelta(minutes=1))
        assert desk.attempt(second.attempt_id) == before
