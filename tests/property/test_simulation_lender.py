from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from decorum_simulation.lender.events import LenderEvent, LoanChange
from decorum_simulation.lender.loans import Instalment, Loan
from decorum_simulation.virtual_world import Plan, VirtualWorld
from ledger.domain.amounts import AllocationOrder
from ledger.domain.book import LoanBook, apply
from shared.contracts import (
    LoanClosedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    PaymentReceivedV1,
    PaymentReversedV1,
)

START = datetime(2026, 9, 14, 16, tzinfo=UTC)
TODAY = date(2026, 9, 15)
amounts = st.integers(0, 100_000)
BOOKED = (LoanRegisteredV1, LoanOverdueV1, LoanClosedV1, PaymentReceivedV1, PaymentReversedV1)


@st.composite
def loans(draw: st.DrawFn) -> Loan:
    first = TODAY - timedelta(days=draw(st.integers(-20, 100)))
    instalments = [
        Instalment(
            due_on=first + timedelta(days=30 * month),
            fees_minor=draw(amounts) // 50,
            interest_minor=draw(amounts) // 10,
            principal_minor=draw(amounts),
        )
        for month in range(draw(st.integers(1, 6)))
    ]
    return Loan(
        loan_id="L1",
        borrower_id="B1",
        currency="CNY",
        opened_on=date(2026, 1, 1),
        instalments=instalments,
        fee_minor=2_000,
    )


@given(loans(), st.lists(st.integers(1, 200_000), min_size=1, max_size=5))
def test_a_payment_is_conserved_and_pays_what_is_overdue_first(loan: Loan, payments: list[int]) -> None:
    for number, amount in enumerate(payments):
        owed, overdue = loan.outstanding(TODAY).total_minor, loan.overdue(TODAY).total_minor
        principal = sum(i.principal_minor for i in loan.instalments)
        left = loan.pay(f"p{number}", amount, TODAY)

        assert loan.overdue(TODAY).total_minor == max(overdue - amount, 0)
        assert sum(taken for _, _, taken in loan.paid[f"p{number}"]) == amount - left
        assert left == 0 or sum(i.principal_minor for i in loan.instalments) == 0
        assert left <= max(amount - owed, 0)
        assert sum(i.principal_minor for i in loan.instalments) <= principal


@given(loans(), st.lists(st.integers(1, 200_000), min_size=1, max_size=5))
def test_taking_payments_back_in_any_order_restores_what_was_owed(loan: Loan, payments: list[int]) -> None:
    before = [(i.due_on, i.fees_minor, i.interest_minor, i.principal_minor) for i in loan.instalments]
    for number, amount in enumerate(payments):
        loan.pay(f"p{number}", amount, TODAY)
    for number in sorted(range(len(payments)), key=lambda n: n % 2):
        loan.unpay(f"p{number}")

    assert [(i.due_on, i.fees_minor, i.interest_minor, i.principal_minor) for i in loan.instalments] == before


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_a_ledger_that_reads_the_lenders_events_knows_what_the_lender_knows_after_every_tick(seed: int) -> None:
    plan = Plan(borrowers=40, start=START, end=START + timedelta(days=30), tick=timedelta(minutes=30), seed=seed)
    world, now, known = VirtualWorld(plan=plan), START, defaultdict[str, list[LenderEvent]](list)
    while now < plan.end:
        events = world.live(now).events
        touched = set()
        for event in events:
            if isinstance(event.message, BOOKED) and event.message.loan_id in world.core.loans:
                known[event.message.loan_id].append(event)
                touched.add(event.message.loan_id)
        latest = {change.loan_id: change for change in world.core.changes}
        for loan_id in touched:
            _compare(known[loan_id], latest[loan_id])
        now = max(world.next_tick or plan.end, now + plan.tick)


def _compare(events: list[LenderEvent], change: LoanChange) -> None:
    book = LoanBook(order=AllocationOrder.parse(("fees", "interest", "principal")))
    once = {(event.source, event.event_id): event for event in events}
    for event in sorted(once.values(), key=lambda e: (e.business_at, e.source, e.event_id)):
        assert isinstance(event.message, BOOKED)
        book = apply(book, event.message).book
    assert (sum(book.overdue), sum(book.outstanding), book.closed) == (
        change.overdue_minor,
        change.outstanding_minor,
        change.closed,
    )
