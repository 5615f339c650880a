"""The lender's core: its loans, its daily run, its payments. It knows its own payments at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from decorum_simulation.lender.events import LenderEvent, LoanChange, PaymentMade, payment, servicing, statement
from decorum_simulation.lender.loans import Loan
from decorum_simulation.lender.people import SHANGHAI, Person
from shared.contracts import (
    BorrowerUpdatedV1,
    LoanClosedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    PaymentReceivedV1,
    PaymentReversedV1,
)
from shared.contracts.loan_events import ClosureReason
from shared.ids import derive

AMERICAN_BOOKS = "America/New_York"
"""The zone in which the American books are kept; Chinese loans are kept in Shanghai time."""


@dataclass(slots=True, kw_only=True)
class LenderCore:
    """Owns persons and loans. `events`, `changes` and `payments` grow in the order in which things became known.

    Statements and snapshots are published by `close_tick`, one of each kind per loan and tick, after the tick's
    payments: at equal instants the statement and then the snapshot are the later events and hold them all.
    """

    people: dict[str, Person] = field(default_factory=dict)
    loans: dict[str, Loan] = field(default_factory=dict)
    loans_of: dict[str, list[Loan]] = field(default_factory=dict)
    events: list[LenderEvent] = field(default_factory=list)
    changes: list[LoanChange] = field(default_factory=list)
    payments: list[PaymentMade] = field(default_factory=list)
    _to_state: set[str] = field(default_factory=set)
    _to_report: set[str] = field(default_factory=set)
    _touched: set[str] = field(default_factory=set)
    _last_change: dict[str, tuple[int, int, bool]] = field(default_factory=dict)
    _reported_overdue: set[str] = field(default_factory=set)
    _stated: dict[str, tuple[date | None, int]] = field(default_factory=dict)

    def enrol(self, person: Person, loans: Iterable[Loan], now: datetime) -> None:
        """A borrower with loans enters the books: profile, statements, and snapshots of what is overdue."""
        self.people[person.borrower_id] = person
        profile: BorrowerUpdatedV1 = person.profile()
        self.events.append(servicing(profile, now, "profile"))
        self.loans_of[person.borrower_id] = list(loans)
        for loan in self.loans_of[person.borrower_id]:
            self.loans[loan.loan_id] = loan
            self._to_state.add(loan.loan_id)
            if loan.days_past_due(self.today(loan, now)) > 0:
                self._to_report.add(loan.loan_id)
            self._touched.add(loan.loan_id)

    def told_overdue(self, loan: Loan) -> None:
        """It was published earlier that `loan` is overdue: the next tick says how it stands, also if nothing is."""
        self._to_report.add(loan.loan_id)

    def today(self, loan: Loan, now: datetime) -> date:
        """The date in the books that the loan is kept in."""
        person = self.people[loan.borrower_id]
        return now.astimezone(ZoneInfo(AMERICAN_BOOKS if person.american else SHANGHAI)).date()

    def close_tick(self, now: datetime) -> None:
        """Publish what this tick owes: statements, snapshots and the changes of the books."""
        for loan_id in sorted(self._to_state):
            self._state(self.loans[loan_id], now)
        for loan_id in sorted(self._to_report):
            self._report(self.loans[loan_id], now)
        for loan_id in sorted(self._touched):
            self._note_change(self.loans[loan_id], now)
        for pending in (self._to_state, self._to_report, self._touched):
            pending.clear()

    def _state(self, loan: Loan, now: datetime) -> None:
        if loan.closed:
            return
        today = self.today(loan, now)
        next_due_on, next_due = loan.next_due(today)
        self._stated[loan.loan_id] = (next_due_on, next_due.total_minor)
        message = LoanRegisteredV1(
            borrower_id=loan.borrower_id,
            loan_id=loan.loan_id,
            currency=loan.currency,
            opened_on=loan.opened_on,
            outstanding=loan.outstanding(today),
            next_due_on=next_due_on,
            next_due=next_due,
        )
        self.events.append(statement(message, now))

    def _report(self, loan: Loan, now: datetime) -> None:
        if loan.closed:
            return
        today = self.today(loan, now)
        overdue = loan.overdue(today)
        message = LoanOverdueV1(
            borrower_id=loan.borrower_id,
            loan_id=loan.loan_id,
            currency=loan.currency,
            as_of=today,
            days_past_due=loan.days_past_due(today),
            oldest_unpaid_due_on=loan.oldest_unpaid_due_on(today),
            overdue=overdue,
            outstanding=loan.outstanding(today),
        )
        self.events.append(servicing(message, now, loan.loan_id))
        (self._reported_overdue.add if overdue.total_minor else self._reported_overdue.discard)(loan.loan_id)

    def daily_run(self, now: datetime, *, american: bool) -> None:
        """The morning's run over one of the two books: charges, snapshots of what is overdue, new statements."""
        for borrower_id, loans in self.loans_of.items():
            if self.people[borrower_id].american is american:
                for loan in loans:
                    if not loan.closed:
                        self._run_loan(loan, now)

    def _run_loan(self, loan: Loan, now: datetime) -> None:
        today = self.today(loan, now)
        loan.charge(today)
        self._state_if_new(loan, today)
        if loan.overdue(today).total_minor or loan.loan_id in self._reported_overdue:
            self._to_report.add(loan.loan_id)
        self._touched.add(loan.loan_id)

    def _state_if_new(self, loan: Loan, today: date) -> None:
        next_due_on, next_due = loan.next_due(today)
        if self._stated.get(loan.loan_id) != (next_due_on, next_due.total_minor):
            self._to_state.add(loan.loan_id)

    def pay(self, loan: Loan, amount_minor: int, now: datetime, *, value_at: datetime | None = None, cause: str) -> str:
        """Money arrived for `loan`, with its value at `value_at` (now, if not given); its payment id."""
        value_at = value_at or now
        payment_id = derive("payment", loan.borrower_id, loan.loan_id, value_at.isoformat(), cause)
        today = self.today(loan, now)
        loan.pay(payment_id, amount_minor, today)
        self.receive(
            PaymentMade(
                at=value_at,
                payment_id=payment_id,
                borrower_id=loan.borrower_id,
                loan_id=loan.loan_id,
                amount_minor=amount_minor,
                currency=loan.currency,
            )
        )
        self._touched.add(loan.loan_id)
        if loan.outstanding(today).total_minor == 0:
            self.close(loan, now, "paid")
            return payment_id
        if value_at != now:
            self._to_report.add(loan.loan_id)
            self._to_state.add(loan.loan_id)
        self._state_if_new(loan, today)
        return payment_id

    def receive(self, made: PaymentMade) -> None:
        """Publish a payment, also one for a loan that isn't in the books."""
        message = PaymentReceivedV1(
            borrower_id=made.borrower_id,
            loan_id=made.loan_id,
            payment_id=made.payment_id,
            currency=made.currency,
            amount_minor=made.amount_minor,
        )
        self.events.append(payment(message, made.at, made.payment_id))
        self.payments.append(made)

    def reverse(self, loan: Loan, payment_id: str, now: datetime, reason: str) -> None:
        """A payment did not hold: what it had paid is owed again."""
        if loan.closed or payment_id not in loan.paid:
            return
        loan.unpay(payment_id)
        message = PaymentReversedV1(
            borrower_id=loan.borrower_id, loan_id=loan.loan_id, payment_id=payment_id, reason=reason
        )
        self.events.append(payment(message, now, payment_id))
        for pending in (self._to_report, self._to_state, self._touched):
            pending.add(loan.loan_id)

    def close(self, loan: Loan, now: datetime, reason: ClosureReason) -> None:
        """The loan ends; nothing more is asked for it."""
        loan.closed = True
        message = LoanClosedV1(borrower_id=loan.borrower_id, loan_id=loan.loan_id, reason=reason)
        self.events.append(servicing(message, now, loan.loan_id))
        self._reported_overdue.discard(loan.loan_id)
        self._touched.add(loan.loan_id)

    def _note_change(self, loan: Loan, now: datetime) -> None:
        today = self.today(loan, now)
        state = (loan.overdue(today).total_minor, loan.outstanding(today).total_minor, loan.closed)
        if self._last_change.get(loan.loan_id) != state:
            self._last_change[loan.loan_id] = state
            self.changes.append(
                LoanChange(
                    at=now,
                    borrower_id=loan.borrower_id,
                    loan_id=loan.loan_id,
                    overdue_minor=state[0],
                    outstanding_minor=state[1],
                    currency=loan.currency,
                    closed=loan.closed,
                )
            )
