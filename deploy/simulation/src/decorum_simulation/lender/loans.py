"""A loan as the lender's core keeps it: unpaid instalments, oldest first, in integer minor units."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from shared.contracts import Amounts

NOTHING = Amounts()


@dataclass(slots=True, kw_only=True)
class Instalment:
    """What is still unpaid of one instalment."""

    due_on: date
    fees_minor: int = 0
    interest_minor: int = 0
    principal_minor: int = 0

    @property
    def total_minor(self) -> int:
        """All three components."""
        return self.fees_minor + self.interest_minor + self.principal_minor

    def take(self, component: str, amount_minor: int) -> int:
        """Pay up to `amount_minor` of one component; what was paid."""
        owed: int = getattr(self, component)
        paid = min(owed, amount_minor)
        setattr(self, component, owed - paid)
        return paid


@dataclass(slots=True, kw_only=True)
class Loan:
    """One loan. Payments go to fees, interest, principal of what is overdue, then to later instalments."""

    loan_id: str
    borrower_id: str
    currency: str
    opened_on: date
    instalments: list[Instalment]
    closed: bool = False
    fee_minor: int = 0
    """The late fee of one missed instalment."""
    paid: dict[str, list[tuple[int, str, int]]] = field(default_factory=dict)
    """By payment: (index of the instalment, component, amount), so that a reversal puts back what was taken."""
    fees_charged: set[date] = field(default_factory=set)
    interest_charged: set[date] = field(default_factory=set)

    def overdue_on(self, today: date) -> list[Instalment]:
        """Instalments that were due before `today` and aren't fully paid."""
        return [i for i in self.instalments if i.due_on < today and i.total_minor > 0]

    def overdue(self, today: date) -> Amounts:
        """What is overdue, by component."""
        return NOTHING if self.closed else _sum(self.overdue_on(today))

    def oldest_unpaid_due_on(self, today: date) -> date | None:
        """The due date that days past due count from."""
        unpaid = self.overdue_on(today)
        return None if self.closed or not unpaid else unpaid[0].due_on

    def days_past_due(self, today: date) -> int:
        """Days since the oldest unpaid due date, 0 when nothing is overdue."""
        oldest = self.oldest_unpaid_due_on(today)
        return 0 if oldest is None else (today - oldest).days

    def next_instalment(self, today: date) -> Instalment | None:
        """The first instalment that is unpaid and not overdue."""
        return next((i for i in self.instalments if i.due_on >= today and i.total_minor > 0), None)

    def next_due(self, today: date) -> tuple[date | None, Amounts]:
        """When what falls due next."""
        following = None if self.closed else self.next_instalment(today)
        return (None, NOTHING) if following is None else (following.due_on, _sum([following]))

    def outstanding(self, today: date) -> Amounts:
        """All principal, and fees and interest up to the next instalment: later interest isn't earned yet."""
        if self.closed:
            return NOTHING
        following = self.next_instalment(today)
        limit = following.due_on if following is not None else today
        earned = _sum([i for i in self.instalments if i.due_on <= limit])
        later = sum(i.principal_minor for i in self.instalments if i.due_on > limit)
        return Amounts(
            fees_minor=earned.fees_minor,
            interest_minor=earned.interest_minor,
            principal_minor=earned.principal_minor + later,
        )

    def pay(self, payment_id: str, amount_minor: int, today: date) -> int:
        """Book a payment; what is left over when everything outstanding is paid."""
        left = amount_minor
        taken: list[tuple[int, str, int]] = []
        overdue = [index for index, i in enumerate(self.instalments) if i.due_on < today]
        following = [index for index, i in enumerate(self.instalments) if i.due_on >= today]
        for group in (overdue, *([index] for index in following)):
            for component in ("fees_minor", "interest_minor", "principal_minor"):
                for index in group:
                    if component != "principal_minor" and self.instalments[index].due_on > self._earned_until(today):
                        continue
                    paid = self.instalments[index].take(component, left)
                    left -= paid
                    if paid:
                        taken.append((index, component, paid))
        self.paid[payment_id] = taken
        return left

    def unpay(self, payment_id: str) -> None:
        """Put back what a payment had paid."""
        for index, component, amount in self.paid.pop(payment_id, []):
            instalment = self.instalments[index]
            setattr(instalment, component, getattr(instalment, component) + amount)

    def charge(self, today: date) -> None:
        """The late fee of each instalment on its first overdue day; penalty interest every seventh day past due."""
        overdue = self.overdue_on(today)
        for instalment in overdue:
            if instalment.due_on not in self.fees_charged:
                self.fees_charged.add(instalment.due_on)
                instalment.fees_minor += self.fee_minor
        if overdue and self.days_past_due(today) % 7 == 0 and today not in self.interest_charged:
            self.interest_charged.add(today)
            for instalment in overdue:
                instalment.interest_minor += instalment.principal_minor * 35 // 10_000

    def _earned_until(self, today: date) -> date:
        following = self.next_instalment(today)
        return following.due_on if following is not None else today


def _sum(instalments: list[Instalment]) -> Amounts:
    return Amounts(
        fees_minor=sum(i.fees_minor for i in instalments),
        interest_minor=sum(i.interest_minor for i in instalments),
        principal_minor=sum(i.principal_minor for i in instalments),
    )
