"""Messages and records for tests; every argument that matters is named where it is used."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from shared.contracts import (
    AttemptLoan,
    AttemptSubmittedV1,
    BorrowerUpdatedV1,
    ContactAllowedV1,
    ContactPoint,
    Message,
    PermitRevokedV1,
    RevocationScope,
    StopLiftedV1,
    StopOrderedV1,
)
from shared.kafka.records import Received

START: Final = datetime(2026, 9, 16, 2, 0, tzinfo=UTC)
"""10:00 of a Wednesday in Shanghai."""
KEY_MEANINGS: Final = (
    ("1", "promise"),
    ("2", "paid_already"),
    ("3", "dispute"),
    ("9", "stop"),
    ("0", "call_back"),
    ("5", "right_person"),
    ("7", "wrong_person"),
    ("4", "other"),
)
"""What each key of a call says, also one that the call doesn't name."""


def received(message: Message, *, ce_id: str | None = None, ce_time: datetime = START) -> Received[Any]:
    """`message` as the consumer would hand it over."""
    body = msgspec.json.encode(message)
    digest = hashlib.sha256(body).digest()
    return Received(
        message=message,
        ce_id=ce_id or digest.hex()[:32],
        ce_source="test",
        ce_type=type(message).__name__,
        ce_time=ce_time,
        traceparent=None,
        body_sha256=digest,
        topic="test",
        partition=0,
        offset=0,
        aged=False,
    )


def attempt(borrower_id: str = "B1", attempt_id: str = "A1", **changes: Any) -> AttemptSubmittedV1:
    """An attempt to send `sms-overdue` in Chinese about one loan."""
    loan = AttemptLoan(
        loan_id="L1",
        balance_version=1,
        overdue_minor=123_456,
        due_minor=123_456,
        due_on=date(2026, 9, 1),
        days_past_due=15,
    )
    fields: dict[str, Any] = {
        "borrower_id": borrower_id,
        "attempt_id": attempt_id,
        "submission_number": 1,
        "submitted_at": START,
        "expires_at": START + timedelta(days=1),
        "purpose": "demand",
        "channel": "sms",
        "contact_point_id": "C1",
        "currency": "CNY",
        "loans": (loan,),
        "template": "sms-overdue",
        "language": "zh",
        "risk_grade": "low",
        "strategy": "courteous-low",
        "strategy_hash": "hash",
        "step_key": "day-3",
    }
    return AttemptSubmittedV1(**(fields | changes))


def allowed(
    borrower_id: str = "B1",
    attempt_id: str = "A1",
    *,
    sequence: int = 1,
    minutes: float = 30,
    now: datetime = START,
    **changes: Any,
) -> ContactAllowedV1:
    """A permit for `attempt`, good for `minutes` from `now`; `changes` go to the attempt."""
    submitted = attempt(borrower_id, attempt_id, **changes)
    return ContactAllowedV1(
        borrower_id=borrower_id,
        decision_id=f"D-{borrower_id}-{attempt_id}-{submitted.submission_number}",
        attempt_id=attempt_id,
        submission_number=submitted.submission_number,
        borrower_sequence=sequence,
        decided_at=now,
        policy_hash="policy",
        rules=(),
        permit_expires_at=now + timedelta(minutes=minutes),
        attempt=submitted,
    )


def revoked(borrower_id: str = "B1", *, sequence: int = 2, revocation_id: str = "R1", **scope: Any) -> PermitRevokedV1:
    """A revocation of everything in `scope` with a lower sequence."""
    return PermitRevokedV1(
        borrower_id=borrower_id,
        revocation_id=revocation_id,
        borrower_sequence=sequence,
        scope=RevocationScope(**scope),
        reason="payment",
        revoked_at=START,
        attempt_ids=(),
    )


def stopped(kind: Any = "all", value: str = "all", *, at: datetime = START) -> StopOrderedV1:
    """An operator's stop."""
    return StopOrderedV1(
        borrower_id="all",
        stop_id=f"stop-{kind}-{value}",
        kind=kind,
        value=value,
        reason="drill",
        ordered_by="tester",
        ordered_at=at,
    )


def lifted(kind: Any = "all", value: str = "all", *, at: datetime = START) -> StopLiftedV1:
    """The lifting of that stop."""
    return StopLiftedV1(
        borrower_id="all",
        stop_id=f"stop-{kind}-{value}",
        kind=kind,
        value=value,
        reason="drill over",
        lifted_by="tester",
        lifted_at=at,
    )


def borrower(
    borrower_id: str = "B1", number: str = "+8613800138000", *, name: str = "王小明", **changes: Any
) -> BorrowerUpdatedV1:
    """A borrower with one mobile number, C1."""
    point = ContactPoint(contact_point_id="C1", kind="mobile", value=number)
    fields: dict[str, Any] = {
        "borrower_id": borrower_id,
        "name": name,
        "language": "zh",
        "region": "CN-31",
        "zones": ("Asia/Shanghai",),
        "contact_points": (point,),
    }
    return BorrowerUpdatedV1(**(fields | changes))
