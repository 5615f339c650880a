"""What borrowers can pay with, and the ways in which money arrives: on time, back-dated, misdirected, returned."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from decorum_simulation.agenda import Agenda
from decorum_simulation.draws import chance, integer
from decorum_simulation.lender.core import LenderCore
from decorum_simulation.lender.events import PaymentMade
from decorum_simulation.lender.loans import Loan
from shared.ids import derive

BACKDATED_SHARE = 0.03
MISDIRECTED_SHARE = 0.004
REVERSED_SHARE = 0.012
OVERPAID_SHARE = 0.06


@dataclass(slots=True, kw_only=True)
class Purses:
    """Pays out of a borrower's purse; a loan without one in `left_minor` is paid out of unlimited means."""

    core: LenderCore
    agenda: Agenda
    seed: int
    mishaps: bool = True
    left_minor: dict[str, int] = field(default_factory=dict)

    def pay(self, loan: Loan, amount_minor: int, now: datetime, *, cause: str) -> int:
        """Pay up to `amount_minor` on `loan`; what was paid. Some payments take one of the unusual ways."""
        if loan.loan_id in self.left_minor:
            amount_minor = min(amount_minor, self.left_minor[loan.loan_id])
            self.left_minor[loan.loan_id] -= amount_minor
        if amount_minor <= 0 or loan.closed:
            return 0
        if not self.mishaps:
            self.core.pay(loan, amount_minor, now, cause=cause)
            return amount_minor
        key = f"{loan.loan_id} {cause}"
        if chance(MISDIRECTED_SHARE, self.seed, key, "misdirected"):
            return self._misdirect(loan, amount_minor, now, key)
        owed = loan.outstanding(self.core.today(loan, now)).total_minor
        if amount_minor >= owed and chance(OVERPAID_SHARE, self.seed, key, "overpaid"):
            amount_minor += 100 * integer(1, 50, self.seed, key, "too much")
        value_at = now
        if chance(BACKDATED_SHARE, self.seed, key, "back-dated"):
            value_at = now - timedelta(hours=integer(8, 47, self.seed, key, "hours back"))
        payment_id = self.core.pay(loan, amount_minor, now, value_at=value_at, cause=cause)
        if chance(REVERSED_SHARE, self.seed, key, "reversed"):
            at = now + timedelta(hours=integer(24, 80, self.seed, key, "hours later"))
            self.agenda.add(
                at, f"reversal {key}", lambda then: self.core.reverse(loan, payment_id, then, "returned debit")
            )
        return amount_minor

    def _misdirect(self, loan: Loan, amount_minor: int, now: datetime, key: str) -> int:
        """The borrower gave a loan number that doesn't exist: the money arrives, and pays nothing."""
        wrong_id = f"{loan.borrower_id}-X{integer(1, 9, self.seed, key, 'typo')}"
        payment_id = derive("payment", loan.borrower_id, wrong_id, now.isoformat(), key)
        self.core.receive(
            PaymentMade(
                at=now,
                payment_id=payment_id,
                borrower_id=loan.borrower_id,
                loan_id=wrong_id,
                amount_minor=amount_minor,
                currency=loan.currency,
            )
        )
        return amount_minor
