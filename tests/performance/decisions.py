"""Gate decisions in one process: `decide` with twenty rows of history and the evidence hash, no sentence rendered."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.adapters.evidence import evidence_of
from compliance_gate.domain import Attempt, AttemptAmount, Facts, LoanFacts, PastContact, decide
from compliance_gate.policy.book import PolicyBook, load_packs

HISTORY_ROWS: Final = 20
BORROWERS: Final = 500
ROUNDS: Final = 40
NOW: Final = datetime(2026, 9, 16, 2, 0, tzinfo=UTC)


def _facts(index: int, now: datetime) -> Facts:
    """One borrower with twenty contacts over the last four weeks, within every cap."""
    return Facts(
        borrower_id=f"B{index}",
        lag_seconds=0,
        region="CN",
        zones=("Asia/Shanghai",),
        history=tuple(
            PastContact(
                contact_id=f"C{index}-{row}",
                at=now - timedelta(hours=60 + 34 * row, minutes=index % 50),
                channel="sms" if row % 3 else "voice",
                result="delivered" if row % 3 else "no_answer",
                loans=("L1",),
                number_key=f"N{index}",
            )
            for row in range(HISTORY_ROWS)
        ),
        loans=(
            LoanFacts(loan_id="L1", overdue_minor=53_000, outstanding_minor=900_000, currency="CNY", balance_version=3),
        ),
    )


def _attempt(index: int, now: datetime) -> Attempt:
    return Attempt(
        attempt_id=f"A{index}",
        submission_number=1,
        borrower_id=f"B{index}",
        channel="sms",
        loans=("L1",),
        number_key=f"N{index}",
        expires_at=now + timedelta(days=2),
        amounts=(AttemptAmount(loan_id="L1", amount_minor=53_000, currency="CNY", balance_version=3),),
        strategy="courteous-low",
        provider="carrier-sms",
    )


def measure() -> dict[str, float]:
    """Decisions a second with their evidence: the median and the best of several rounds, each at another instant."""
    book = PolicyBook(load_packs(), OfficialCalendars(), overlay="courteous")
    rates, allowed = list[float](), 0
    for turn in range(ROUNDS):
        now = NOW + timedelta(seconds=7 * turn)
        cases = [(_attempt(index, now), _facts(index, now)) for index in range(BORROWERS)]
        started = time.perf_counter()
        for attempt, facts in cases:
            policy = book.resolve(facts.region, facts.zones)
            decision = decide(attempt, facts, policy, now)
            evidence_of(attempt, facts, policy, now, decision)
        rates.append(BORROWERS / (time.perf_counter() - started))
        allowed += type(decision).__name__ == "Allowed"
    return {
        "decisions_per_second": median(rates),
        "decisions_per_second_best": max(rates),
        "history_rows": HISTORY_ROWS,
        "rounds_allowed": allowed,
        "rounds": ROUNDS,
    }
