"""How a payment is spread, how amounts are drawn, and which settings don't start."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ledger.commands.case_drawing import money
from ledger.domain.amounts import AllocationOrder, covering, take
from ledger.domain.book import LoanBook, apply
from ledger.domain.entries import Entry
from ledger.settings import PREFIX, LedgerSettings
from shared.contracts import Amounts, LoanOverdueV1, LoanRegisteredV1, PaymentReceivedV1
from shared.settings import SettingsError, load

PRINCIPAL_FIRST = AllocationOrder.parse(("principal", "interest", "fees"))


def payment(amount_minor: int) -> PaymentReceivedV1:
    return PaymentReceivedV1(borrower_id="B1", loan_id="L1", payment_id="P1", currency="CNY", amount_minor=amount_minor)


def overdue_book(order: AllocationOrder) -> LoanBook:
    snapshot = LoanOverdueV1(
        borrower_id="B1",
        loan_id="L1",
        currency="CNY",
        as_of=date(2026, 9, 16),
        days_past_due=5,
        oldest_unpaid_due_on=date(2026, 9, 11),
        overdue=Amounts(fees_minor=10, interest_minor=20, principal_minor=100),
        outstanding=Amounts(fees_minor=10, interest_minor=30, principal_minor=1_000),
    )
    return apply(LoanBook(order=order), snapshot).book


def test_the_configured_order_decides_which_component_is_paid_first() -> None:
    booked = apply(overdue_book(PRINCIPAL_FIRST), payment(110)).book.payments["P1"]
    assert booked.allocated == (0, 10, 100)


def test_what_is_overdue_is_paid_before_the_rest_of_what_is_outstanding() -> None:
    after = apply(overdue_book(PRINCIPAL_FIRST), payment(131)).book
    assert after.overdue == (0, 0, 0)
    assert after.outstanding == (0, 10, 899)


def test_more_than_is_outstanding_waits_in_suspense() -> None:
    booked = apply(overdue_book(PRINCIPAL_FIRST), payment(2_000)).book.payments["P1"]
    assert (booked.allocated, booked.suspense_minor) == ((10, 30, 1_000), 960)


def test_an_instalment_with_interest_that_is_not_outstanding_yet_is_still_paid_early() -> None:
    statement = LoanRegisteredV1(
        borrower_id="B1",
        loan_id="L1",
        currency="CNY",
        opened_on=date(2026, 1, 1),
        outstanding=Amounts(principal_minor=1_000),
        next_due_on=date(2026, 10, 1),
        next_due=Amounts(interest_minor=30, principal_minor=70),
    )
    after = apply(apply(LoanBook(order=PRINCIPAL_FIRST), statement).book, payment(100)).book
    assert (after.next_due, after.outstanding) == ((0, 0, 0), (0, 0, 900))


def test_a_snapshot_that_splits_amounts_differently_keeps_its_total() -> None:
    assert covering((0, 0, 1_000), (50, 20, 100)) == (50, 20, 930)
    assert covering((10, 10, 10), (5, 5, 5)) == (10, 10, 10)


def test_taking_pays_in_order_and_returns_what_is_left() -> None:
    assert take((10, 20, 30), 35, PRINCIPAL_FIRST) == ((0, 5, 30), 0)
    assert take((10, 20, 30), 100, PRINCIPAL_FIRST) == ((10, 20, 30), 40)


def test_an_entry_that_does_not_balance_is_never_built() -> None:
    with pytest.raises(AssertionError, match="balances"):
        Entry(kind="payment", payment_id="P1", currency="CNY", lines=(("cash", 1),))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LEDGER_ALLOCATION_ORDER", "fees,fees,principal"),
        ("LEDGER_ALLOCATION_ORDER", "fees"),
        ("LEDGER_PROMISE_GRACE_DAYS", "-1"),
        ("LEDGER_PROMISE_GRACE_DAYS", "soon"),
        ("LEDGER_PROMISE_AHEAD_DAYS_MAX", "2"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_its_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=r"LEDGER_|allocation"):
        load(LedgerSettings, PREFIX, {variable: value})


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(123_450, "CNY", "CNY 1,234.50"), (-5, "USD", "USD -0.05"), (1_000, "JPY", "JPY 1,000"), (1, None, "–")],
)
def test_amounts_are_drawn_with_the_digits_of_their_currency(amount: int, currency: Any, text: str) -> None:
    assert money(amount, currency) == text
