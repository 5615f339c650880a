from datetime import date, timedelta

import pytest

from scheduler.domain.strategy import LoanShape, path_of
from shared.contracts import Amounts
from shared.contracts.loan_events import ContactPoint
from tests.unit.scheduler_cases import (
    DUE_ON,
    PLAYBOOK,
    Desk,
    at,
    balance,
    borrower,
    denied,
    made,
    not_made,
    opt_out,
    promise,
    reply,
    restriction,
    submitted_once,
)


def test_the_first_step_of_an_overdue_loan_is_planned_at_a_preferred_local_hour() -> None:
    desk = Desk().learns(borrower(), balance(), now=at(10, 20))
    (attempt,) = desk.planned
    assert (attempt.step_key, attempt.purpose, attempt.channel) == ("day-001-sms", "demand", "sms")
    assert attempt.due_at in (at(11, 2), at(11, 6), at(11, 8, 30))  # 10:00, 14:00 or 16:30 in Shanghai
    assert attempt.expires_at == attempt.due_at + timedelta(hours=48)
    assert desk.dossier.wake_at == attempt.due_at


def test_nothing_is_planned_before_the_lender_said_who_the_borrower_is() -> None:
    assert not Desk().learns(balance(), now=at(11)).planned


def test_a_reminder_comes_before_the_due_date_and_belongs_to_the_same_episode_as_what_follows() -> None:
    upcoming = balance(overdue_minor=0, next_due_on=DUE_ON, next_due=Amounts(principal_minor=80_000))
    desk = Desk().learns(borrower(), upcoming, now=at(5))
    (reminder,) = desk.planned
    assert (reminder.step_key, reminder.purpose, reminder.episode) == ("before-03-sms", "reminder", DUE_ON)
    desk.releases(now=at(7, 9))
    desk.learns(balance(2), now=at(11))
    (demand,) = desk.planned
    assert (demand.step_key, demand.episode) == ("day-001-sms", DUE_ON)


def test_a_reminder_never_outlives_the_due_date() -> None:
    upcoming = balance(overdue_minor=0, next_due_on=DUE_ON, next_due=Amounts(principal_minor=80_000))
    desk = Desk().learns(borrower(), upcoming, now=at(5))
    assert desk.planned[0].expires_at <= at(10, 16)  # midnight in Shanghai


def test_loans_of_one_currency_are_spoken_of_in_one_attempt_and_others_in_their_own() -> None:
    second = balance(loan_id="l-2", oldest_unpaid_due_on=date(2026, 9, 9))
    dollars = balance(loan_id="l-3", currency="USD")
    desk = Desk().learns(borrower(), balance(), second, dollars, now=at(10, 20))
    assert {(a.currency, a.episode) for a in desk.planned} == {("CNY", date(2026, 9, 9)), ("USD", DUE_ON)}
    submissions = desk.releases(now=at(11, 9)).submissions
    assert [loan.loan_id for s in submissions if s.currency == "CNY" for loan in s.loans] == ["l-2", "l-1"]


def test_after_a_payment_the_next_contact_speaks_of_the_fresh_amount() -> None:
    desk = Desk().learns(borrower(), balance(), now=at(10, 20)).learns(balance(2, overdue_minor=70_000), now=at(10, 21))
    (submission,) = desk.releases(now=at(11, 9)).submissions
    assert (submission.due_minor, submission.loans[0].balance_version) == (70_000, 2)


@pytest.mark.parametrize("last", [balance(2, overdue_minor=0), balance(2, closed=True), restriction("cease")])
def test_the_plan_ends_when_nothing_is_overdue_and_on_closure_and_restriction(last: object) -> None:
    desk = Desk().learns(borrower(), balance(), now=at(10, 20)).learns(last, now=at(10, 21))  # type: ignore[arg-type]
    assert not desk.planned
    assert not desk.releases(now=at(12)).submissions


def test_a_restriction_that_names_a_loan_leaves_the_others() -> None:
    facts = (borrower(), balance(), balance(loan_id="l-2"), restriction(loans=("l-1",)))
    (submission,) = Desk().learns(*facts, now=at(10, 20)).releases(now=at(11, 9)).submissions
    assert [loan.loan_id for loan in submission.loans] == ["l-2"]


def test_a_death_covers_every_loan_whatever_loans_it_names() -> None:
    facts = (borrower(), balance(), balance(loan_id="l-2"), restriction("deceased", loans=("l-1",)))
    assert not Desk().learns(*facts, now=at(10, 20)).planned


def test_a_restriction_that_ends_by_itself_opens_the_plan_again_under_the_next_number() -> None:
    facts = (borrower(), balance(), restriction(effective_until=at(12)))
    desk = Desk().learns(*facts, now=at(10, 20))
    assert not desk.planned
    assert desk.dossier.wake_at == at(12)
    (submission,) = desk.releases(now=at(12, 9)).submissions
    assert desk.attempt(submission.attempt_id).plan_number == 2


def test_a_plan_that_was_never_cancelled_keeps_its_number() -> None:
    desk = Desk().learns(borrower(), balance(), now=at(10, 20)).learns(balance(2, overdue_minor=0), now=at(10, 21))
    desk.learns(balance(3), now=at(10, 22))
    assert [a.plan_number for a in desk.planned] == [1]


def test_an_open_promise_pauses_until_its_grace_ends_and_a_broken_one_lets_the_plan_go_on() -> None:
    desk = Desk().learns(borrower(), balance(), now=at(10, 20))
    desk.learns(promise("opened", on=at(10, 21), grace_ends_at=at(16)), now=at(10, 21))
    assert not desk.planned
    assert desk.dossier.wake_at == at(16)
    desk.learns(promise("broken", on=at(14), grace_ends_at=at(16)), now=at(14))
    assert [a.step_key for a in desk.planned] == ["day-004-sms"]


def test_a_promise_whose_end_is_never_reported_pauses_no_longer_than_its_grace() -> None:
    desk = Desk().learns(borrower(), balance(), now=at(10, 20))
    desk.learns(promise("opened", on=at(10, 21), grace_ends_at=at(16)), now=at(10, 21))
    desk.releases(now=at(16))
    assert desk.dossier.attempts
    assert desk.dossier.wake_at is not None


def test_a_promise_goes_on_pausing_when_a_late_payment_is_found_to_have_kept_the_one_that_it_replaced() -> None:
    desk = Desk().learns(borrower(), balance(), now=at(10, 20))
    first = {"promise_id": "p-1", "promised_at": at(10, 21)}
    second = promise("opened", on=at(11), grace_ends_at=at(18), promise_id="p-2", promised_at=at(11))
    desk.learns(promise("opened", on=at(10, 21), grace_ends_at=at(16), **first), now=at(10, 21))
    desk.learns(second, now=at(11))
    kept = promise("kept", on=at(11) + timedelta(microseconds=1), grace_ends_at=at(16), **first)
    desk.learns(kept, now=at(12))
    assert not desk.planned
    assert desk.dossier.wake_at == at(18)


def test_two_broken_promises_raise_the_grade() -> None:
    desk = Desk().learns(borrower(), balance(), now=at(10, 20))
    for number in (1, 2):
        broken = promise("broken", on=at(11, number), grace_ends_at=at(11), promise_id=f"p-{number}")
        desk.learns(broken, now=at(11, number))
    assert [a.strategy for a in desk.planned] == ["courteous-medium"]


def test_an_opt_out_ends_the_steps_of_its_channel_alone() -> None:
    desk = Desk().learns(borrower(), balance(), opt_out("sms"), now=at(10, 20))
    assert [a.channel for a in desk.planned] == ["voice"]
    assert not desk.learns(opt_out("voice"), now=at(10, 21)).planned


def test_a_reply_that_says_stop_is_an_opt_out_until_a_later_withdrawal() -> None:
    desk = Desk().learns(borrower(), balance(), reply("stop", received_at=at(10)), now=at(10, 20))
    assert [a.channel for a in desk.planned] == ["voice"]
    desk.learns(opt_out("sms", in_force=False), now=at(10, 21))
    assert [a.channel for a in desk.planned] == ["sms"]


@pytest.mark.parametrize("intent", ["dispute", "wrong_person", "distress"])
def test_a_reply_that_needs_a_person_pauses_and_is_referred_once(intent: str) -> None:
    desk = Desk().learns(borrower(), balance(), reply(intent, received_at=at(10, 19)), now=at(10, 20))
    assert not desk.planned
    released = desk.releases(now=at(10, 20))
    assert [(r.target, r.step_key) for r in released.referrals] == [("person", f"reply-{intent}")]
    later = desk.releases(now=at(20))
    assert not later.referrals
    assert not later.submissions


def test_a_dispute_that_was_settled_lets_the_plan_go_on() -> None:
    desk = Desk().learns(borrower(), balance(), reply("dispute", received_at=at(10, 19)), now=at(10, 20))
    desk.releases(now=at(10, 20))
    desk.learns(restriction("dispute", active=False), now=at(12))
    assert desk.planned


def test_a_wrong_number_is_used_again_for_nobody_and_a_new_one_lets_the_plan_go_on() -> None:
    wrong = reply("wrong_person", received_at=at(10, 19), contact_point_id="cp-1")
    desk = Desk().learns(borrower(), balance(), wrong, now=at(10, 20)).learns(borrower(), now=at(11))
    assert not desk.planned
    new_point = ContactPoint(contact_point_id="cp-2", kind="mobile", value="+8613800138001")
    desk.learns(borrower(contact_points=(new_point,)), now=at(12))
    assert desk.planned


def test_a_borrower_who_says_paid_already_is_left_alone_for_three_days() -> None:
    desk = Desk().learns(borrower(), balance(), reply("paid_already", received_at=at(10, 19)), now=at(10, 20))
    assert not desk.planned
    assert desk.dossier.wake_at == at(13, 19)


def test_a_step_that_was_made_is_not_planned_again_when_the_debt_comes_back() -> None:
    desk, submission = submitted_once()
    desk.hears(made(submission, on=at(11, 9)), now=at(11, 9))
    desk.learns(balance(2, overdue_minor=0), now=at(11, 10)).learns(balance(3), now=at(11, 11))
    assert [a.step_key for a in desk.planned] == ["day-004-sms"]


def test_the_next_step_goes_on_after_a_denial() -> None:
    desk, submission = submitted_once()
    desk.hears(denied(submission, on=at(11, 9)), now=at(11, 9))
    assert [a.step_key for a in desk.planned] == ["day-004-sms"]


def test_an_old_debt_is_referred_at_once_to_the_last_target_that_is_due() -> None:
    desk = Desk().learns(borrower(), balance(oldest_unpaid_due_on=date(2026, 6, 1)), now=at(11))
    released = desk.releases(now=at(11))
    assert [r.target for r in released.referrals] == ["agency"]
    assert not released.submissions
    assert desk.dossier.wake_at is not None
    assert [r.target for r in desk.releases(now=desk.dossier.wake_at).referrals] == ["legal"]
    assert not desk.planned


def test_a_trifle_is_not_worth_a_contact() -> None:
    assert not Desk().learns(borrower(), balance(overdue_minor=499), now=at(11)).planned


def test_another_number_is_tried_after_the_first_was_rejected() -> None:
    points = tuple(ContactPoint(contact_point_id=f"cp-{n}", kind="mobile", value=f"+861380013800{n}") for n in (1, 2))
    desk = Desk().learns(borrower(contact_points=points), balance(), now=at(10, 20))
    (first,) = desk.releases(now=at(11, 9)).submissions
    desk.hears(not_made(first, on=at(11, 9), reason="rejected"), now=at(11, 9))
    (second,) = desk.releases(now=at(14, 9)).submissions
    assert (first.contact_point_id, second.contact_point_id) == ("cp-1", "cp-2")


def test_numbers_of_other_people_are_never_used() -> None:
    point = ContactPoint(contact_point_id="cp-1", kind="mobile", value="+8613800138000", holder="third_party")
    assert not Desk().learns(borrower(contact_points=(point,)), balance(), now=at(11)).planned


def test_contacts_of_one_borrower_keep_their_distance() -> None:
    desk = Desk().learns(borrower(), balance(), balance(loan_id="l-2", currency="USD"), now=at(10, 20))
    assert len(desk.releases(now=at(11, 9)).submissions) == 1
    assert all(a.due_at >= at(11, 9) + timedelta(hours=20) for a in desk.planned)
    assert all(2 <= a.due_at.hour <= 10 for a in desk.planned)  # at a preferred hour again: 10:00 to 18:00 in Shanghai


@pytest.mark.parametrize("size", ["small", "medium", "large"])
@pytest.mark.parametrize("broken_promises", [0, 2])
def test_the_shipped_paths_stay_well_inside_the_courteous_caps_and_end_in_a_referral(
    size: str, broken_promises: int
) -> None:
    shapes = frozenset({LoanShape(size, 0)})  # type: ignore[arg-type]
    path = path_of(PLAYBOOK.book, shapes, "CNY", broken_promises)
    days = [(step.day, step.channel) for step, _ in path.steps]
    for day, _ in days:
        week = [channel for other, channel in days if day - 6 <= other <= day]
        assert len(week) <= 4
        assert week.count("sms") <= 3
        assert len([d for d, _ in days if d == day]) == 1
    assert [r.target for r, _ in path.referrals] == ["person", "agency", "legal"]
