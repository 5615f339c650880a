"""The confirmation of an opt-out: when it is planned, what it says of itself, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.settings import SchedulerSettings
from shared import contracts
from shared.contracts.loan_events import ContactPoint
from shared.settings import load
from tests.unit.scheduler_cases import (
    PLAYBOOK,
    Desk,
    at,
    balance,
    borrower,
    deferred,
    denied,
    made,
    not_made,
    opt_out,
    reply,
)

CONFIRMING = replace(PLAYBOOK, confirms_opt_outs=True)
STOPPED_AT = at(11, 9)


def stop(*, received_at: datetime = STOPPED_AT, **changes: Any) -> contracts.ReplyReceivedV1:
    fields = {"contact_point_id": "cp-1", "attempt_id": "a-1", "loans": ("l-1",), **changes}
    return reply("stop", received_at=received_at, **fields)


def desk_with(*facts: contracts.Message, now: datetime = STOPPED_AT, confirms: bool = True) -> Desk:
    """A borrower in debt whose first step was handed over in the morning."""
    desk = Desk(playbook=CONFIRMING if confirms else PLAYBOOK).learns(borrower(), balance(), now=at(10, 20))
    desk.releases(now=at(11, 8, 45))
    return desk.learns(*facts, now=now)


def confirmations(desk: Desk) -> list[str]:
    return [a.attempt_id for a in desk.dossier.attempts.values() if a.purpose == "opt_out_confirmation"]


def test_it_is_off_unless_it_is_set() -> None:
    assert not load(SchedulerSettings, "SCHEDULER_", {}).opt_out_confirmation
    assert load(SchedulerSettings, "SCHEDULER_", {"SCHEDULER_OPT_OUT_CONFIRMATION": "true"}).opt_out_confirmation
    assert not confirmations(desk_with(stop(), confirms=False))


def test_a_stop_by_text_is_confirmed_at_once_to_the_number_that_said_it_and_asks_for_nothing() -> None:
    desk = desk_with(stop())
    assert desk.dossier.wake_at == STOPPED_AT
    [message] = desk.releases(now=STOPPED_AT).submissions
    assert (message.purpose, message.channel, message.contact_point_id) == ("opt_out_confirmation", "sms", "cp-1")
    assert (message.template, message.language) == ("sms-opt-out-confirmation", "zh")
    assert message.expires_at == STOPPED_AT + timedelta(hours=24)
    assert [(loan.loan_id, loan.due_minor) for loan in message.loans] == [("l-1", 0)]
    assert not desk.releases(now=STOPPED_AT + timedelta(minutes=1)).submissions


@pytest.mark.parametrize(
    "facts",
    [
        (stop(channel="voice"),),
        (stop(loans=(), attempt_id=None),),
        (stop(loans=("l-9",)),),
        (stop(contact_point_id=None),),
        (stop(contact_point_id="cp-9"),),
        (reply("wrong_person", received_at=STOPPED_AT, contact_point_id="cp-1", loans=("l-1",)),),
        (opt_out("sms"),),
        (stop(received_at=at(10, 8)),),
    ],
    ids=[
        "a key of a call",
        "an answer to nothing of ours",
        "a loan nobody knows",
        "no number",
        "another's number",
        "no stop",
        "a wish told to the lender",
        "a day ago",
    ],
)
def test_nothing_else_is_confirmed(facts: tuple[contracts.Message, ...]) -> None:
    assert not confirmations(desk_with(*facts))


def test_a_number_that_is_gone_gets_no_confirmation() -> None:
    point = ContactPoint(contact_point_id="cp-1", kind="mobile", value="+8613800138000", holder="third_party")
    assert not confirmations(desk_with(borrower(contact_points=(point,)), stop()))


def test_of_two_stops_the_first_is_confirmed_in_whatever_order_they_come() -> None:
    again = stop(reply_id="reply-again", received_at=STOPPED_AT + timedelta(minutes=2))
    one = confirmations(desk_with(stop(), again, now=again.received_at))
    other = confirmations(desk_with(again, stop(), now=again.received_at))
    assert one == other
    assert len(one) == 1


def test_one_that_was_made_is_never_planned_again() -> None:
    desk = desk_with(stop())
    [message] = desk.releases(now=STOPPED_AT).submissions
    desk.hears(made(message, on=STOPPED_AT), now=STOPPED_AT)
    again = stop(reply_id="reply-again", received_at=STOPPED_AT + timedelta(minutes=5))
    desk.learns(again, now=again.received_at)
    assert not desk.releases(now=again.received_at + timedelta(hours=1)).submissions
    assert len(confirmations(desk)) == 1


def test_one_that_was_put_off_or_revoked_is_handed_over_again_within_its_day() -> None:
    desk = desk_with(stop())
    [message] = desk.releases(now=STOPPED_AT).submissions
    opens = STOPPED_AT + timedelta(hours=16)
    desk.hears(deferred(message, on=STOPPED_AT, until=opens), now=STOPPED_AT)
    [second] = desk.releases(now=opens).submissions
    assert (second.attempt_id, second.submission_number) == (message.attempt_id, 2)
    desk.hears(not_made(second, on=opens, reason="revoked"), now=opens)
    [third] = desk.releases(now=opens + timedelta(minutes=15)).submissions
    desk.hears(denied(third, on=opens), now=opens)
    assert desk.attempt(message.attempt_id).state == "ended"


def test_one_that_can_t_be_sent_within_a_day_ends_as_expired() -> None:
    desk = desk_with(stop())
    [message] = desk.releases(now=STOPPED_AT).submissions
    desk.hears(deferred(message, on=STOPPED_AT, until=STOPPED_AT + timedelta(hours=30)), now=STOPPED_AT)
    assert desk.attempt(message.attempt_id).end_reason == "expired"


def test_a_stop_that_was_lifted_is_confirmed_no_more() -> None:
    desk = desk_with(stop())
    [message] = desk.releases(now=STOPPED_AT).submissions
    opens = STOPPED_AT + timedelta(hours=1)
    desk.hears(deferred(message, on=STOPPED_AT, until=opens), now=STOPPED_AT)
    desk.learns(opt_out("sms", in_force=False), now=STOPPED_AT + timedelta(minutes=30))
    assert all(s.attempt_id != message.attempt_id for s in desk.releases(now=opens).submissions)


def test_a_confirmation_takes_no_step_and_no_time_from_the_next_one() -> None:
    with_one, without = desk_with(stop()), desk_with(stop(), confirms=False)
    with_one.releases(now=STOPPED_AT)
    with_one.learns(now=STOPPED_AT + timedelta(minutes=1))
    without.learns(now=STOPPED_AT + timedelta(minutes=1))
    assert [a.step_key for a in with_one.planned] == [a.step_key for a in without.planned] != []
    assert [a.due_at for a in with_one.planned] == [a.due_at for a in without.planned]
