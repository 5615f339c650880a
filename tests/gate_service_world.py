"""The gate's handler on a real database, fed with events as a consumer would feed it, one transaction a batch."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.adapters.evidence import evidence_of
from compliance_gate.adapters.numbers import KeyedNumbers
from compliance_gate.adapters.store import PostgresGateStore
from compliance_gate.handlers.desk import Desk
from compliance_gate.handlers.gate import take_facts_and_submissions
from compliance_gate.policy.book import PolicyBook, load_packs
from shared.clock import VirtualClock
from shared.contracts import (
    Amounts,
    AttemptLoan,
    AttemptSubmittedV1,
    BalanceChangedV1,
    BorrowerUpdatedV1,
    ContactPoint,
    PaymentPostedV1,
)
from shared.contracts.registry import BY_MESSAGE_TYPE
from shared.contracts.types import Message
from shared.kafka.records import Outgoing, Received, WireMessage, encode
from shared.postgres import inbox

NOW = datetime(2026, 9, 16, 2, 0, tzinfo=UTC)
"""10:00 in Shanghai on a Wednesday."""
NUMBERS = KeyedNumbers(b"a key for tests only, 32 bytes...")
BOOK = PolicyBook(load_packs(), OfficialCalendars(), overlay="courteous")
_offsets = count()


def received(
    message: Message, *, at: datetime = NOW, ce_id: str | None = None, source: str = "test/lender"
) -> Received[Any]:
    """`message` as the consumer hands it over; the same message has the same id unless another is given."""
    body = msgspec.json.encode(message)
    digest = hashlib.sha256(body).digest()
    contract = BY_MESSAGE_TYPE[type(message)]
    return Received(
        message=message,
        ce_id=ce_id or digest.hex()[:32],
        ce_source=source,
        ce_type=contract.ce_type,
        ce_time=at,
        traceparent=None,
        body_sha256=digest,
        topic=contract.topic,
        partition=0,
        offset=next(_offsets),
        aged=False,
    )


def borrower(
    borrower_id: str = "B1", *, numbers: Sequence[str] = ("+8613800138000",), region: str = "CN", **changed: Any
) -> BorrowerUpdatedV1:
    """A borrower in Shanghai with a mobile number."""
    points = tuple(
        ContactPoint(contact_point_id=f"{borrower_id}-P{index}", kind="mobile", value=number)
        for index, number in enumerate(numbers, start=1)
    )
    told: dict[str, Any] = {"zones": ("Asia/Shanghai",), "contact_points": points, **changed}
    return BorrowerUpdatedV1(borrower_id=borrower_id, name="Wang", language="zh", region=region, **told)


def balance(
    borrower_id: str = "B1", *, loan_id: str | None = None, version: int = 1, overdue: int = 50_000, **changed: Any
) -> BalanceChangedV1:
    """500 yuan overdue."""
    amounts = Amounts(principal_minor=overdue)
    told: dict[str, Any] = {"overdue": amounts, "outstanding": amounts, "closed": False, "cause": "snapshot", **changed}
    return BalanceChangedV1(
        borrower_id=borrower_id,
        loan_id=loan_id or f"{borrower_id}-L1",
        currency="CNY",
        balance_version=version,
        oldest_unpaid_due_on=date(2026, 9, 1),
        next_due_on=None,
        next_due=Amounts(),
        as_of=NOW,
        **told,
    )


def late_payment(borrower_id: str = "B1", *, version: int = 1, at: datetime = NOW, **changed: Any) -> PaymentPostedV1:
    """100 yuan of yesterday, booked after today's snapshot."""
    told: dict[str, Any] = {"payment_id": "PAY1", "loan_id": f"{borrower_id}-L1", "counted": False, **changed}
    return PaymentPostedV1(
        borrower_id=borrower_id,
        currency="CNY",
        amount_minor=10_000,
        allocated=Amounts(principal_minor=10_000),
        suspense_minor=0,
        posted_to="loan",
        effective_at=NOW - timedelta(days=1),
        posted_at=at,
        balance_version=version,
        **told,
    )


def attempt(
    borrower_id: str = "B1",
    attempt_id: str | None = None,
    *,
    submission: int = 1,
    channel: Any = "sms",
    version: int = 1,
    at: datetime = NOW,
    **changed: Any,
) -> AttemptSubmittedV1:
    """A text message about the borrower's loan."""
    loan = AttemptLoan(
        loan_id=f"{borrower_id}-L1",
        balance_version=version,
        overdue_minor=50_000,
        due_minor=50_000,
        due_on=date(2026, 9, 1),
        days_past_due=15,
    )
    told: dict[str, Any] = {
        "expires_at": at + timedelta(days=2),
        "purpose": "demand",
        "contact_point_id": f"{borrower_id}-P1",
        "loans": (loan,),
        **changed,
    }
    return AttemptSubmittedV1(
        borrower_id=borrower_id,
        attempt_id=attempt_id or f"{borrower_id}-A1",
        submission_number=submission,
        submitted_at=at,
        channel=channel,
        currency="CNY",
        template="demand-1",
        language="zh",
        risk_grade="low",
        strategy="low",
        strategy_hash="h",
        step_key="d3-sms",
        **told,
    )


@dataclass
class World:
    """A gate on one database, with a clock that the test moves."""

    engine: AsyncEngine
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOW))
    lag_seconds: float = 0.0
    store: PostgresGateStore = field(default_factory=PostgresGateStore)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(
            store=self.store,
            policies=BOOK,
            numbers=NUMBERS,
            evidence_of=evidence_of,
            clock=self.clock,
            lag=lambda: self.lag_seconds,
            providers={"sms": "sms-http", "voice": "voice-http"},
            history_days=60,
            late_payment_hours=24,
        )

    async def take(self, *records: Received[Any] | Message) -> list[Any]:
        """One batch, as `shared.kafka.consumer` runs it; what it publishes, replays included, as messages."""
        batch = [each if isinstance(each, Received) else received(each, at=self.clock.now()) for each in records]
        async with self.engine.begin() as tx:
            admission = await inbox.admit(tx, batch)
            answered: dict[inbox.Key, list[WireMessage]] = defaultdict(list)
            fresh: Sequence[Outgoing] = ()
            if admission.new:
                fresh = await take_facts_and_submissions(tx, admission.new, desk=self.desk)
            for outgoing in fresh:
                assert outgoing.cause is not None
                answered[outgoing.cause.key].append(encode(outgoing, source="decorum/compliance-gate"))
            await inbox.record(tx, admission.new, answered, {})
        return [*(message_of(wire) for wire in admission.replayed), *(outgoing.message for outgoing in fresh)]

    async def known(self, *borrower_ids: str) -> None:
        """Borrowers with a number and a loan that is overdue."""
        for borrower_id in borrower_ids or ("B1",):
            number = f"+86138{int.from_bytes(hashlib.sha256(borrower_id.encode()).digest()[:3]):08d}"
            await self.take(borrower(borrower_id, numbers=(number,)), balance(borrower_id))


def message_of(wire: WireMessage) -> Any:
    """The message in a published record."""
    ce_type = (dict(wire.headers)["ce_type"] or b"").decode()
    message_type = next(kind for kind, contract in BY_MESSAGE_TYPE.items() if contract.ce_type == ce_type)
    return msgspec.json.decode(wire.value or b"", type=message_type)
