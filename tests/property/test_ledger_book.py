"""Whatever order and however often events arrive, the book says the same, balances, and is only ever added to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.account import BookEvent, LoanAccount, Posting, post
from ledger.domain.amounts import AllocationOrder
from ledger.domain.book import LoanBook
from ledger.domain.entries import RECEIVABLES, Transaction
from shared.contracts import (
    Amounts,
    LoanClosedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    PaymentReceivedV1,
    PaymentReversedV1,
)

ORDER = AllocationOrder.parse(("fees", "interest", "principal"))
START = datetime(2026, 9, 1, tzinfo=UTC)
LOAN = {"borrower_id": "B1", "loan_id": "L1"}
BOOK_EVENTS = PaymentReceivedV1 | PaymentReversedV1

parts = st.builds(
    Amounts,
    fees_minor=st.integers(0, 50),
    interest_minor=st.integers(0, 80),
    principal_minor=st.integers(0, 400),
)
payment_ids = st.sampled_from(["P1", "P2", "P3", "P4"])
days = st.integers(0, 20).map(lambda n: date(2026, 9, 1) + timedelta(days=n))


def overdue_snapshots() -> st.SearchStrategy[LoanOverdueV1]:
    def build(overdue: Amounts, more: Amounts, as_of: date, back: int) -> LoanOverdueV1:
        return LoanOverdueV1(
            **LOAN,
            currency="CNY",
            as_of=as_of,
            days_past_due=back,
            oldest_unpaid_due_on=as_of - timedelta(days=back) if overdue.total_minor else None,
            overdue=overdue,
            outstanding=Amounts(
                fees_minor=overdue.fees_minor + more.fees_minor,
                interest_minor=overdue.interest_minor + more.interest_minor,
                principal_minor=overdue.principal_minor + more.principal_minor,
            ),
        )

    return st.builds(build, parts, parts, days, st.integers(0, 30))


messages = st.one_of(
    st.builds(
        LoanRegisteredV1,
        **{name: st.just(value) for name, value in LOAN.items()},
        currency=st.just("CNY"),
        opened_on=st.just(date(2026, 1, 1)),
        outstanding=parts,
        next_due=parts,
        next_due_on=st.none() | days,
    ),
    overdue_snapshots(),
    st.builds(
        PaymentReceivedV1,
        **{name: st.just(value) for name, value in LOAN.items()},
        payment_id=payment_ids,
        currency=st.sampled_from(["CNY", "CNY", "CNY", "USD"]),
        amount_minor=st.integers(1, 700),
    ),
    st.builds(PaymentReversedV1, **{name: st.just(value) for name, value in LOAN.items()}, payment_id=payment_ids),
    st.just(LoanClosedV1(**LOAN, reason="paid")),
)


@st.composite
def loan_histories(draw: st.DrawFn) -> list[BookEvent]:
    drawn = draw(st.lists(st.tuples(messages, st.integers(0, 30 * 24)), min_size=1, max_size=14))
    return [
        BookEvent(at=START + timedelta(hours=hours), source=f"core/{n % 2}", event_id=f"e{n}", message=message)
        for n, (message, hours) in enumerate(drawn)
    ]


class InMemoryLedger:
    """What the service's handler does with its tables, for one loan."""

    def __init__(self) -> None:
        self.account = LoanAccount(borrower_id="B1", loan_id="L1", book=LoanBook(order=ORDER))
        self.events: dict[tuple[str, str], BookEvent] = {}
        self.transactions: list[Transaction] = []
        self.postings: list[Posting] = []

    def receive(self, event: BookEvent, *, always_read_history: bool = False) -> None:
        if event.identity in self.events:
            return
        seen = {e.message.payment_id for e in self.events.values() if isinstance(e.message, BOOK_EVENTS)}
        looks_back = (
            self.account.is_late(event)
            or isinstance(event.message, PaymentReversedV1)
            or (isinstance(event.message, PaymentReceivedV1) and event.message.payment_id in seen)
        )
        account = self.account
        if looks_back or always_read_history:
            account = account.with_history(self.events.values(), self.transactions)
            assert account.book.balance == self.account.book.balance
            assert account.book.waiting == self.account.book.waiting
        account, posting = post(account, event)
        self.events[event.identity] = event
        self.transactions.extend(posting.transactions)
        self.postings.append(posting)
        # The next batch reads the checkpoint only: payments and early reversals are not kept in it.
        book = account.book
        self.account = LoanAccount(
            borrower_id="B1",
            loan_id="L1",
            book=LoanBook(
                order=book.order,
                currency=book.currency,
                outstanding=book.outstanding,
                overdue=book.overdue,
                next_due=book.next_due,
                oldest_unpaid_due_on=book.oldest_unpaid_due_on,
                next_due_on=book.next_due_on,
                closed=book.closed,
                waiting=book.waiting,
            ),
            last_key=account.last_key,
            balance_version=account.balance_version,
        )


def received(events: Iterable[BookEvent], *, always_read_history: bool = False) -> InMemoryLedger:
    ledger = InMemoryLedger()
    for event in events:
        ledger.receive(event, always_read_history=always_read_history)
    return ledger


def net(transactions: Sequence[Transaction], *, by_payment: bool) -> dict[Any, int]:
    sums: Counter[Any] = Counter()
    for one in transactions:
        for account, amount in one.lines:
            sums[(one.payment_id if by_payment else None, account, one.currency)] += amount
    return {key: amount for key, amount in sums.items() if amount}


@settings(max_examples=300)
@given(st.data())
def test_any_order_and_any_doubles_of_the_same_events_give_the_same_net_book(data: st.DataObject) -> None:
    events = data.draw(loan_histories())
    shuffled = data.draw(st.permutations(events))
    doubled = [*shuffled, *data.draw(st.lists(st.sampled_from(events), max_size=5))]
    straight, jumbled = received(sorted(events, key=lambda e: e.key)), received(doubled)
    assert jumbled.account.book.balance == straight.account.book.balance
    assert jumbled.account.book.waiting == straight.account.book.waiting
    assert net(jumbled.transactions, by_payment=True) == net(straight.transactions, by_payment=True)


@settings(max_examples=200)
@given(loan_histories())
def test_every_transaction_balances_and_receivables_equal_what_is_outstanding(events: list[BookEvent]) -> None:
    ledger = received(events)
    assert all(sum(amount for _, amount in one.lines) == 0 for one in ledger.transactions)
    sums = net(ledger.transactions, by_payment=False)
    book = ledger.account.book
    for account, outstanding, overdue in zip(RECEIVABLES, book.outstanding, book.overdue, strict=True):
        assert sums.get((None, account, "CNY"), 0) == outstanding
        assert 0 <= overdue <= outstanding


@settings(max_examples=200)
@given(loan_histories())
def test_money_that_came_in_is_cash_once_and_money_that_was_reversed_is_not(events: list[BookEvent]) -> None:
    ledger = received(events)
    first: dict[str, PaymentReceivedV1] = {}
    reversed_ids = {e.message.payment_id for e in events if isinstance(e.message, PaymentReversedV1)}
    for event in sorted(events, key=lambda e: e.key):
        if isinstance(event.message, PaymentReceivedV1):
            first.setdefault(event.message.payment_id, event.message)
    cash = {key: amount for key, amount in net(ledger.transactions, by_payment=True).items() if key[1] == "cash"}
    expected = {
        (payment_id, "cash", message.currency): message.amount_minor
        for payment_id, message in first.items()
        if payment_id not in reversed_ids
    }
    assert cash == expected


@settings(max_examples=150)
@given(loan_histories())
def test_reading_history_or_the_checkpoint_writes_the_same_transactions_and_versions(events: list[BookEvent]) -> None:
    by_checkpoint, by_history = received(events), received(events, always_read_history=True)
    assert by_checkpoint.transactions == by_history.transactions
    assert [p.balance for p in by_checkpoint.postings] == [p.balance for p in by_history.postings]
    assert [p.payments_posted for p in by_checkpoint.postings] == [p.payments_posted for p in by_history.postings]


@settings(max_examples=150)
@given(loan_histories())
def test_versions_rise_by_one_with_each_change_and_transaction_ids_are_never_used_twice(
    events: list[BookEvent],
) -> None:
    ledger = received(events)
    versions = [p.balance.balance_version for p in ledger.postings if p.balance is not None]
    assert versions == list(range(1, len(versions) + 1))
    ids = [one.transaction_id for one in ledger.transactions]
    assert len(ids) == len(set(ids))
    taken_back = [one.reverses for one in ledger.transactions if one.reverses is not None]
    assert len(taken_back) == len(set(taken_back))


@settings(max_examples=150)
@given(loan_histories())
def test_every_payment_event_is_answered_and_its_parts_sum_to_its_amount(events: list[BookEvent]) -> None:
    for posting in received(events).postings:
        if isinstance(posting.event.message, PaymentReceivedV1):
            assert posting.event.message.payment_id in {p.payment_id for p in posting.payments_posted}
        for posted in posting.payments_posted:
            assert posted.allocated.total_minor + posted.suspense_minor == posted.amount_minor
