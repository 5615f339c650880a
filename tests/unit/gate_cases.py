"""Facts, attempts and past contacts that tests of decisions are written with: a borrower in Shanghai, on a Tuesday."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.domain import (
    Attempt,
    AttemptAmount,
    Decision,
    Deferred,
    Facts,
    LoanFacts,
    PastContact,
    decide,
)
from compliance_gate.policy.book import PolicyBook, load_packs

PACKS = load_packs()
BOOK = PolicyBook(PACKS, OfficialCalendars(), overlay="courteous")
PLAIN_BOOK = PolicyBook(PACKS, OfficialCalendars())
LOAN = LoanFacts(loan_id="L1", overdue_minor=5000, outstanding_minor=90000, currency="CNY", balance_version=7)
AMOUNT = AttemptAmount(loan_id="L1", amount_minor=5000, currency="CNY", balance_version=7)


def beijing(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}:00+08:00").astimezone(UTC)


TUESDAY = beijing("2026-09-15T10:00")


def facts(**changes: Any) -> Facts:
    values: dict[str, Any] = {
        "borrower_id": "b", "lag_seconds": 0, "region": "CN", "zones": ("Asia/Shanghai",), "loans": (LOAN,), **changes
    }  # fmt: skip
    return Facts(**values)


def attempt(**changes: Any) -> Attempt:
    values: dict[str, Any] = {
        "attempt_id": "a", "submission_number": 1, "borrower_id": "b", "channel": "sms", "loans": ("L1",),
        "number_key": "n", "expires_at": datetime(2027, 6, 1, tzinfo=UTC), "amounts": (AMOUNT,), **changes,
    }  # fmt: skip
    return Attempt(**values)


def contact(at: datetime, **changes: Any) -> PastContact:
    values: dict[str, Any] = {
        "contact_id": f"c{at.timestamp()}", "at": at, "channel": "sms", "result": "delivered", "loans": ("L1",),
        "number_key": "n", **changes,
    }  # fmt: skip
    return PastContact(**values)


def decided(
    at: datetime = TUESDAY, *, book: PolicyBook = BOOK, asked: Attempt | None = None, known: Facts | None = None
) -> Decision:
    known = known or facts()
    return decide(asked or attempt(), known, book.resolve(known.region, known.zones), at)


def deferred(decision: Decision) -> tuple[str, datetime]:
    assert isinstance(decision, Deferred), decision
    return decision.deciding_rule, decision.next_legal_instant
