"""What is missing, out of date, not due or stopped puts an attempt off or denies it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from compliance_gate.domain import (
    Allowed,
    Attempt,
    Denied,
    Facts,
    Stop,
    UnpostedPayment,
)
from tests.unit.gate_cases import AMOUNT, LOAN, TUESDAY, attempt, beijing, decided, deferred, facts


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
