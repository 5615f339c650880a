"""When the present balance doesn't show a payment that has just been booked."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ledger.domain.account import BookEvent, LoanAccount, post
from ledger.domain.amounts import AllocationOrder
from ledger.domain.book import LoanBook
from shared.contracts import (
    Amounts,
    LoanClosedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    PaymentPostedV1,
    PaymentReceivedV1,
)

LOAN: dict[str, Any] = {"borrower_id": "B1", "loan_id": "L1"}
SIX = datetime(2026, 9, 16, 6, tzinfo=UTC)
OWED = Amounts(principal_minor=500)


def overdue(at: datetime, amounts: Amounts = OWED) -> BookEvent:
    message = LoanOverdueV1(
        **LOAN,
        currency="CNY",
        as_of=at.date(),
        days_past_due=5,
        oldest_unpaid_due_on=date(2026, 9, 10),
        overdue=amounts,
        outstanding=amounts,
    )
    return BookEvent(at=at, source="core", event_id=f"overdue {at}", message=message)


def registered(at: datetime) -> BookEvent:
    message = LoanRegisteredV1(**LOAN, currency="CNY", opened_on=date(2026, 1, 1), outstanding=OWED)
    return BookEvent(at=at, source="core", event_id=f"registered {at}", message=message)


def paid(at: datetime, payment_id: str = "P1", *, currency: str = "CNY", event_id: str | None = None) -> BookEvent:
    message = PaymentReceivedV1(**LOAN, payment_id=payment_id, currency=currency, amount_minor=100)
    return BookEvent(at=at, source="core", event_id=event_id or f"paid {payment_id}", message=message)


def closed(at: datetime) -> BookEvent:
    return BookEvent(at=at, source="core", event_id="closed", message=LoanClosedV1(**LOAN, reason="paid"))


def hours(count: float) -> datetime:
    return SIX + timedelta(hours=count)


def last_posted(*events: BookEvent) -> dict[str, PaymentPostedV1]:
    """What the last of `events`, in the order of their arrival, says of payments."""
    account = LoanAccount(**LOAN, book=LoanBook(order=AllocationOrder.parse(("fees", "interest", "principal"))))
    written: list[Any] = []
    for place, event in enumerate(events):
        account, posting = post(account.with_history(events[:place], written), event)
        written.extend(posting.transactions)
    return {posted.payment_id: posted for posted in posting.payments_posted}


def test_yesterdays_payment_after_todays_snapshot_is_not_counted_and_changes_no_balance() -> None:
    posted = last_posted(overdue(hours(-24)), overdue(hours(0)), paid(hours(-14)))["P1"]
    assert (posted.counted, posted.posted_to, posted.balance_version) == (False, "loan", 1)


@pytest.mark.parametrize("snapshot", [overdue(hours(0)), registered(hours(0))], ids=["overdue", "registered"])
def test_the_first_snapshot_of_a_loan_hides_an_earlier_payment_too(snapshot: BookEvent) -> None:
    assert not last_posted(snapshot, paid(hours(-14)))["P1"].counted


@pytest.mark.parametrize(
    "events",
    [
        [overdue(hours(0)), paid(hours(3))],
        [overdue(hours(-24)), paid(hours(3), "P2"), paid(hours(1))],
        [paid(hours(-14))],
        [overdue(hours(-24)), overdue(hours(0)), closed(hours(1)), paid(hours(-14))],
        [overdue(hours(-24)), overdue(hours(0)), paid(hours(-14), currency="USD")],
        [overdue(hours(-24), Amounts()), overdue(hours(0)), paid(hours(-14))],
    ],
    ids=["in order", "late, no snapshot since", "unknown loan", "closed loan", "other currency", "in suspense"],
)
def test_every_other_payment_is_counted(events: list[BookEvent]) -> None:
    assert last_posted(*events)["P1"].counted


def test_a_payment_that_another_late_event_posts_again_is_no_news() -> None:
    events = [overdue(hours(-24)), paid(hours(-10)), overdue(hours(0)), paid(hours(-12), "P0")]
    for event in (paid(hours(-11), "P2"), overdue(hours(-11), Amounts(fees_minor=30, principal_minor=600))):
        posted = last_posted(*events, event)
        assert [p for p, one in posted.items() if not one.counted] == (["P2"] if "P2" in posted else [])


def test_a_payment_id_that_comes_again_with_an_earlier_value_time_is_not_counted_any_more() -> None:
    counted = [overdue(hours(-24)), overdue(hours(0)), paid(hours(1))]
    assert last_posted(*counted)["P1"].counted
    assert not last_posted(*counted, paid(hours(-3), event_id="again"))["P1"].counted
    assert last_posted(*counted, paid(hours(2), event_id="again"))["P1"].counted
