"""Real card accounts replayed as a portfolio: columns of the file to loans, history events and this month's payment.

Statements are cut on the 1st and due on the 21st; suffix 1 is the month of the replay's start. Of the personal columns
of the file (sex, education, marriage, age) none is read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from decorum_simulation.borrowers.personas import Persona
from decorum_simulation.draws import integer, weighted
from decorum_simulation.lender.core import LenderCore
from decorum_simulation.lender.events import PaymentMade, servicing, statement
from decorum_simulation.lender.loans import Instalment, Loan
from decorum_simulation.lender.people import SHANGHAI, Person, chinese_person
from decorum_simulation.lender.portfolio import Account
from decorum_simulation.lender.schedules import months_after
from shared.contracts import Amounts, LoanOverdueV1, LoanRegisteredV1
from shared.errors import Rejection
from shared.ids import derive

COLUMNS: Final = (
    "limit_bal",
    "pay_0",
    *(f"pay_{month}" for month in range(2, 7)),
    *(f"bill_amt{month}" for month in range(1, 7)),
    *(f"pay_amt{month}" for month in range(1, 7)),
    "default_next_month",
)
DUE_DAY: Final = 21
MINIMUM_PERCENT: Final = 10
_ZONE: Final = ZoneInfo(SHANGHAI)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardAccount:
    """One line of the file. Index 0 is the month of the start, 5 the month five months before it."""

    number: int
    status: tuple[int, ...]
    bills_minor: tuple[int, ...]
    payments_minor: tuple[int, ...]
    misses_next_month: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """An account ready for the run: its state at the start and the rest of this month's real payment."""

    account: Account
    card: CardAccount
    pays_minor: int
    pays_at: datetime
    pays_next_month: bool


def read_accounts(path: Path, limit: int | None) -> Iterator[CardAccount]:
    """The accounts of `path`, in its order, counted from 1; refuses a missing column, a wrong value, an empty file."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        reader = csv.DictReader(lines)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise Rejection(f"{path}: no column {', '.join(missing)}")
        number = 0
        for number, row in enumerate(islice(reader, limit), start=1):
            try:
                values = {column: int(float(row[column])) for column in COLUMNS}
            except (TypeError, ValueError, OverflowError) as error:
                raise Rejection(f"{path}, line {reader.line_num}: {error}") from error
            months = range(1, 7)
            yield CardAccount(
                number=number,
                status=(values["pay_0"], *(values[f"pay_{month}"] for month in range(2, 7))),
                bills_minor=tuple(max(values[f"bill_amt{month}"], 0) * 100 for month in months),
                payments_minor=tuple(max(values[f"pay_amt{month}"], 0) * 100 for month in months),
                misses_next_month=values["default_next_month"] == 1,
            )
        if not number:
            raise Rejection(f"{path}: no account after the headings")


def replays(path: Path, limit: int | None, *, seed: int, start: datetime) -> Iterator[Replay]:
    """Every account as a borrower in mainland China, as it stands at `start`."""
    for index, card in enumerate(read_accounts(path, limit)):
        person = chinese_person(index, seed, second_number_share=0.0)
        yield _replay(card, person, seed=seed, start=start)


def _replay(card: CardAccount, person: Person, *, seed: int, start: datetime) -> Replay:
    first = start.astimezone(_ZONE).date().replace(day=1)
    loan = Loan(
        loan_id=f"{person.borrower_id}-C1",
        borrower_id=person.borrower_id,
        currency="CNY",
        opened_on=months_after(first, -24),
        instalments=_instalments(card, first),
    )
    pays_at = _payment_instant(person, first, 0, seed)
    pays = card.payments_minor[0]
    if pays and pays_at <= start:
        loan.pay(_payment_id(person, pays_at), pays, pays_at.date())
        pays = 0
    persona = _persona(card, person.borrower_id, seed)
    account = Account(person=person, loans=(loan,), persona=persona)
    return Replay(
        account=account, card=card, pays_minor=pays, pays_at=pays_at, pays_next_month=not card.misses_next_month
    )


def _persona(card: CardAccount, borrower_id: str, seed: int) -> Persona:
    if not card.misses_next_month:
        return "punctual" if card.status[0] <= 0 else "forgetful"
    return weighted((("strained", 0.6), ("avoider", 0.4)), seed, borrower_id, "persona")


def _instalments(card: CardAccount, first: date) -> list[Instalment]:
    """The unpaid minimums of the months past due, this month's, and the rest of the bill in later months."""
    left = card.bills_minor[0]
    behind = max(card.status[0], 0)
    instalments: list[Instalment] = []
    for months_back in range(behind, -1, -1):
        bill = card.bills_minor[min(months_back, 5)] or card.bills_minor[0]
        amount = min(_minimum(bill), left)
        if amount > 0:
            instalments.append(Instalment(due_on=_due_on(first, -months_back), principal_minor=amount))
            left -= amount
    step = max(_minimum(left), 1)
    for month in range(1, 13):
        amount = left if month == 12 else min(step, left)
        if amount > 0:
            instalments.append(Instalment(due_on=_due_on(first, month), principal_minor=amount))
            left -= amount
    return instalments


def _minimum(bill_minor: int) -> int:
    return bill_minor * MINIMUM_PERCENT // 100


def _due_on(first: date, months: int) -> date:
    return months_after(first, months).replace(day=DUE_DAY)


def _payment_instant(person: Person, first: date, months: int, seed: int) -> datetime:
    day = integer(2, 28, seed, person.borrower_id, "pays on", months)
    hour = integer(9, 21, seed, person.borrower_id, "pays at", months)
    return datetime.combine(months_after(first, months).replace(day=day), time(hour), _ZONE)


def _payment_id(person: Person, at: datetime) -> str:
    return derive("payment", person.borrower_id, at.isoformat(), "history")


def publish_history(replay: Replay, core: LenderCore, *, seed: int, start: datetime) -> None:
    """The five earlier months, and this one up to `start`: statements, payments, what was overdue after the due day."""
    person, card = replay.account.person, replay.card
    loan = replay.account.loans[0]
    first = start.astimezone(_ZONE).date().replace(day=1)
    for months_back in range(5, -1, -1):
        bill = card.bills_minor[months_back]
        cut_at = datetime.combine(months_after(first, -months_back), time(6), _ZONE)
        if months_back:
            message = LoanRegisteredV1(
                borrower_id=person.borrower_id,
                loan_id=loan.loan_id,
                currency="CNY",
                opened_on=loan.opened_on,
                outstanding=Amounts(principal_minor=bill),
                next_due_on=_due_on(first, -months_back) if bill else None,
                next_due=Amounts(principal_minor=_minimum(bill)),
            )
            core.events.append(statement(message, cut_at))
        pays_at, amount = _payment_instant(person, first, -months_back, seed), card.payments_minor[months_back]
        if amount and pays_at <= start:
            core.receive(
                PaymentMade(
                    at=pays_at,
                    payment_id=_payment_id(person, pays_at),
                    borrower_id=person.borrower_id,
                    loan_id=loan.loan_id,
                    amount_minor=amount,
                    currency="CNY",
                )
            )
        if months_back:
            _publish_past_overdue(replay, core, months_back, first, paid=amount if pays_at.day <= DUE_DAY else 0)


def _publish_past_overdue(replay: Replay, core: LenderCore, months_back: int, first: date, *, paid: int) -> None:
    card, loan = replay.card, replay.account.loans[0]
    behind, bill = card.status[months_back], card.bills_minor[months_back]
    outstanding = max(bill - paid, 0)
    overdue = min(_minimum(bill) * behind, outstanding)
    if behind < 1 or overdue < 1:
        return
    as_of = _due_on(first, -months_back) + timedelta(days=1)
    oldest = _due_on(first, -months_back - behind)
    snapshot = LoanOverdueV1(
        borrower_id=loan.borrower_id,
        loan_id=loan.loan_id,
        currency="CNY",
        as_of=as_of,
        days_past_due=(as_of - oldest).days,
        oldest_unpaid_due_on=oldest,
        overdue=Amounts(principal_minor=overdue),
        outstanding=Amounts(principal_minor=outstanding),
    )
    core.events.append(servicing(snapshot, datetime.combine(as_of, time(6), _ZONE), loan.loan_id))
    core.told_overdue(loan)
