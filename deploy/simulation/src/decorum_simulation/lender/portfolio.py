"""A synthetic portfolio: one to three loans a borrower, due dates spread over the month, some behind already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from decorum_simulation.borrowers.personas import Persona, persona_of
from decorum_simulation.draws import between, chance, integer, weighted
from decorum_simulation.lender.loans import Instalment, Loan
from decorum_simulation.lender.people import Person, american_person, chinese_person
from decorum_simulation.lender.schedules import months_after

AMERICAN_SHARE: Final = 0.12

Behind = tuple[int, int]
"""Days past due at the start, from and to; negative: due in so many days."""
_STANDING: Final[dict[Persona, tuple[tuple[Behind, float], ...]]] = {
    "punctual": (((-27, -1), 0.88), ((0, 12), 0.12)),
    "forgetful": (((-27, -1), 0.45), ((0, 30), 0.5), ((31, 60), 0.05)),
    "strained": (((-27, -1), 0.2), ((0, 30), 0.45), ((31, 90), 0.35)),
    "avoider": (((-20, -1), 0.1), ((0, 30), 0.25), ((31, 90), 0.4), ((91, 150), 0.25)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One borrower with loans and the means to pay: `None` is enough for anything."""

    person: Person
    loans: tuple[Loan, ...]
    persona: Persona


def synthetic_accounts(count: int, *, seed: int, start: date, family_share: float = 0.0) -> Iterator[Account]:
    """`count` borrowers as they stand on `start`; equal arguments give equal accounts. So many share a number."""
    before: Person | None = None
    for index in range(count):
        american = chance(AMERICAN_SHARE, seed, "home country", index)
        person = american_person(index, seed) if american else chinese_person(index, seed)
        if before is not None and before.american is american and chance(family_share, seed, "family", index):
            person = person.reached_through(before)
        before = person
        persona = persona_of(person.borrower_id, seed)
        number = weighted(((1, 0.7), (2, 0.22), (3, 0.08)), seed, person.borrower_id, "loans")
        loans = tuple(_loan(person, slot, persona, seed=seed, start=start) for slot in range(number))
        yield Account(person=person, loans=loans, persona=persona)


def _loan(person: Person, slot: int, persona: Persona, *, seed: int, start: date) -> Loan:
    loan_id = f"{person.borrower_id}-L{slot + 1}"
    low, high = weighted(_STANDING[persona], seed, loan_id, "standing")
    behind = integer(low, high, seed, loan_id, "days behind")
    oldest = start - timedelta(days=behind)
    # A month's due day is at most the 28th; the oldest instalment keeps its own date.
    remaining = 1 if chance(0.1, seed, loan_id, "last one") else integer(2, 18, seed, loan_id, "remaining")
    unit = 1 if person.american else 7
    principal = int(between(4_000, 60_000, seed, loan_id, "principal")) * unit
    interest = principal * integer(4, 12, seed, loan_id, "rate") // 100
    loan = Loan(
        loan_id=loan_id,
        borrower_id=person.borrower_id,
        currency="USD" if person.american else "CNY",
        opened_on=months_after(oldest, -integer(1, 18, seed, loan_id, "age")),
        instalments=[
            Instalment(
                due_on=oldest if month == 0 else months_after(oldest, month),
                interest_minor=interest,
                principal_minor=principal,
            )
            for month in range(max(remaining, _instalments_behind(behind)))
        ],
        fee_minor=1_500 if person.american else 2_000,
    )
    _charge_the_past(loan, start)
    return loan


def _instalments_behind(behind: int) -> int:
    return max(behind, 0) // 31 + 1


def _charge_the_past(loan: Loan, start: date) -> None:
    first = loan.instalments[0].due_on
    for day in range((start - first).days):
        loan.charge(first + timedelta(days=day + 1))
