"""Money: texts say what is owed, nobody is asked for what is paid, the books balance and hold every payment once."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from decorum_simulation.audit.records import Borrower, CarrierLine, Decision, Evidence, LoanLine, Payment
from decorum_simulation.audit.violations import Findings

AMOUNT: Final = re.compile(r"\d[\d,]*\.\d{2}(?!\d)")


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a statement that a reminder speaks of."""

    loan_id: str
    next_due: dict[str, int]


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    """A reversal's event."""

    payment_id: str


class Purpose(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt was for."""

    attempt_id: str
    purpose: str


def check_amounts(evidence: Evidence, owners: dict[str, Borrower], findings: Findings) -> None:
    """Each text against what the lender's books said at that instant."""
    purposes = {p.attempt_id: p.purpose for _, p in evidence.of_type("attempt-submitted", Purpose)}
    statements = _statements(evidence)
    for request in evidence.requests:
        permit = evidence.permit_of(request)
        if permit is None or request.attempt_id not in owners:
            continue
        purpose = purposes.get(request.attempt_id, "demand")
        if purpose not in ("demand", "reminder"):
            continue
        findings.checked["amounts"] += 1
        lines = {loan_id: _at(evidence.loans.get(loan_id, []), request.at) for loan_id in permit.loans or ()}
        if not _check_owed(request, permit, lines, purpose, findings):
            continue
        if purpose == "demand":
            expected = sum(line.overdue_minor for line in lines.values() if line is not None)
        else:
            expected = sum(_next_due(statements.get(loan_id, []), request.at) for loan_id in permit.loans or ())
        said = {int(Decimal(text.replace(",", "")) * 100) for text in AMOUNT.findall(request.text or "")}
        if expected not in said:
            findings.add(
                "wrong_amount",
                request.at,
                f"The text says {sorted(said)} (minor units) where {expected} is right.",
                attempt_id=request.attempt_id,
                borrower_id=permit.borrower_id,
            )


def _check_owed(
    request: CarrierLine,
    permit: Decision,
    lines: dict[str, LoanLine | None],
    purpose: str,
    findings: Findings,
) -> bool:
    owed = True
    for loan_id, line in lines.items():
        ids = {"attempt_id": request.attempt_id, "borrower_id": permit.borrower_id, "loan_id": loan_id}
        if line is None:
            findings.add("nothing_overdue", request.at, "The lender's books don't have this loan.", **ids)
        elif line.closed or line.outstanding_minor == 0:
            findings.add("after_full_payment", request.at, f"The loan had ended at {line.at}.", **ids)
        elif purpose == "demand" and line.overdue_minor == 0:
            findings.add("nothing_overdue", request.at, f"Nothing was overdue since {line.at}.", **ids)
        else:
            continue
        owed = False
    return owed


def _at(lines: list[LoanLine], at: datetime) -> LoanLine | None:
    index = bisect_right(lines, at, key=lambda line: line.at)
    return lines[index - 1] if index else None


def _statements(evidence: Evidence) -> dict[str, list[tuple[datetime, int]]]:
    statements: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for event, statement in evidence.of_type("loan-registered", Statement):
        statements[statement.loan_id].append((event.time, sum(statement.next_due.values())))
    return statements


def _next_due(statements: list[tuple[datetime, int]], at: datetime) -> int:
    index = bisect_right(statements, at, key=lambda row: row[0])
    return statements[index - 1][1] if index else 0


def check_books(evidence: Evidence, findings: Findings) -> None:
    """Every transaction sums to zero in each currency; a payment's cash is there once, or not at all if reversed."""
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    instants: dict[str, datetime] = {}
    cash: defaultdict[str, list[int]] = defaultdict(list)
    for posting in evidence.postings:
        sums[(posting.transaction_id, posting.currency)] += posting.amount_minor
        instants[posting.transaction_id] = posting.at
        if posting.account == "cash":
            cash[posting.payment_id or ""].append(posting.amount_minor)
    for (transaction_id, currency), total in sums.items():
        findings.checked["transactions"] += 1
        if total != 0:
            findings.add(
                "unbalanced_transaction",
                instants[transaction_id],
                f"Its postings in {currency} sum to {total}, not to zero.",
                transaction_id=transaction_id,
            )
    reversed_ids = {reversal.payment_id for _, reversal in evidence.of_type("payment-reversed", Reversal)}
    for payment in evidence.payments:
        findings.checked["payments"] += 1
        _check_payment(payment, cash.pop(payment.payment_id, []), payment.payment_id in reversed_ids, findings)
    for payment_id, amounts in cash.items():
        findings.add(
            "unknown_cash", None, f"Cash of {sum(amounts)} that no payment explains.", payment_id=payment_id or "none"
        )


def _check_payment(payment: Payment, cash: list[int], is_reversed: bool, findings: Findings) -> None:
    ids = {"payment_id": payment.payment_id, "borrower_id": payment.borrower_id, "loan_id": payment.loan_id}
    expected, booked = 0 if is_reversed else payment.amount_minor, sum(cash)
    if payment.known_at is None:
        findings.add("payment_not_acknowledged", payment.at, "Kafka never acknowledged this payment's event.", **ids)
    elif not cash:
        findings.add("payment_not_booked", payment.at, "This payment is in no posting.", **ids)
    elif booked > expected:
        findings.add("payment_booked_twice", payment.at, f"{booked} is booked of a payment of {expected}.", **ids)
    elif booked != expected:
        findings.add("payment_booked_wrongly", payment.at, f"{booked} is booked of a payment of {expected}.", **ids)
