"""What the benchmark publishes: borrowers one day past due, each with one loan, whose first text is due at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.contracts import (
    Amounts,
    BorrowerUpdatedV1,
    ContactPoint,
    LoanOverdueV1,
    LoanRegisteredV1,
    Message,
    PaymentReceivedV1,
)
from shared.kafka.records import Outgoing, WireMessage, encode

START: Final = datetime.fromisoformat("2026-09-16T17:30+08:00")
"""A legal hour of a working day; every step of the day past due is due by then."""
SOURCE: Final = "bench/core"
_OVERDUE: Final = Amounts(fees_minor=500, interest_minor=2_500, principal_minor=50_000)
_OUTSTANDING: Final = Amounts(fees_minor=500, interest_minor=2_500, principal_minor=900_000)


def borrower_ids(count: int, *, prefix: str = "P") -> tuple[str, ...]:
    """Ids of `count` borrowers; another prefix gives other borrowers."""
    return tuple(f"{prefix}{number:07d}" for number in range(count))


def number_of(index: int) -> str:
    """A valid Chinese mobile number, another for each index below a hundred million."""
    return f"+86138{index:08d}"


def profiles(borrowers: Sequence[str], *, numbers_from: int) -> list[WireMessage]:
    """Who the borrowers are and what they owe: known before the clock of the measurement starts."""
    messages: list[WireMessage] = []
    due_on = (START - timedelta(days=1)).date()
    for index, borrower in enumerate(borrowers):
        point = ContactPoint(contact_point_id=f"{borrower}-m", kind="mobile", value=number_of(numbers_from + index))
        person = BorrowerUpdatedV1(
            borrower_id=borrower, name="测试客户", language="zh", region="CN", zones=("Asia/Shanghai",),
            contact_points=(point,),
        )  # fmt: skip
        loan = LoanRegisteredV1(
            borrower_id=borrower, loan_id=f"{borrower}-L", currency="CNY", opened_on=due_on - timedelta(days=60),
            outstanding=_OUTSTANDING, next_due_on=due_on + timedelta(days=30),
            next_due=Amounts(interest_minor=2_500, principal_minor=50_000),
        )  # fmt: skip
        messages += [_wire(person, f"{borrower}-b"), _wire(loan, f"{borrower}-r")]
    return messages


def overdue(borrowers: Sequence[str]) -> list[WireMessage]:
    """The loan event that leads to one contact each."""
    due_on = (START - timedelta(days=1)).date()
    return [
        _wire(
            LoanOverdueV1(
                borrower_id=borrower, loan_id=f"{borrower}-L", currency="CNY", as_of=START.date(), days_past_due=1,
                oldest_unpaid_due_on=due_on, overdue=_OVERDUE, outstanding=_OUTSTANDING,
            ),
            f"{borrower}-o",
            minutes_before=30,
        )
        for borrower in borrowers
    ]  # fmt: skip


def payments(borrowers: Sequence[str]) -> list[WireMessage]:
    """A payment of everything overdue for each borrower."""
    return [
        _wire(
            PaymentReceivedV1(
                borrower_id=borrower,
                loan_id=f"{borrower}-L",
                payment_id=f"{borrower}-p",
                currency="CNY",
                amount_minor=_OVERDUE.total_minor,
            ),
            f"{borrower}-p",
            minutes_before=0,
        )
        for borrower in borrowers
    ]


def _wire(message: Message, ce_id: str, *, minutes_before: int = 60) -> WireMessage:
    at = START - timedelta(minutes=minutes_before)
    return encode(Outgoing(message=message, ce_id=ce_id, ce_time=at), source=SOURCE)
