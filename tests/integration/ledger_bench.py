"""What the ledger's tests on a real PostgreSQL stand on: the handlers without Kafka, and records to feed them."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from decorum_local import LocalPlatform
from ledger.adapters import exports
from ledger.adapters.store import SqlLedgerStore
from ledger.handlers.book import post_loan_events
from ledger.handlers.case import keep_profiles, note_what_happened
from ledger.handlers.desk import Desk
from ledger.handlers.promises import open_promises
from ledger.loops import PromiseLoop
from ledger.router import BOOKED, NOTED
from ledger.settings import LedgerSettings
from shared import contracts
from shared.clock import VirtualClock
from shared.contracts import Amounts, Message
from shared.contracts.registry import BY_MESSAGE_TYPE
from shared.kafka.records import Outgoing, Received
from shared.postgres.engine import create_engine
from shared.postgres.migrations import migrate
from tests.works import KeptWork

NOW = datetime(2026, 9, 16, 2, tzinfo=UTC)
_numbers = count(1)


@dataclass
class Bench:
    """The ledger without Kafka: `receive` is one batch in one transaction."""

    engine: AsyncEngine
    clock: VirtualClock
    desk: Desk
    published: list[Message] = field(default_factory=list)
    sent: list[Outgoing] = field(default_factory=list)

    async def receive(self, *records: Received[Any]) -> list[Message]:
        handlers: Sequence[tuple[tuple[type[Message], ...], Callable[..., Any]]] = (
            ((contracts.BorrowerUpdatedV1,), keep_profiles),
            (BOOKED, post_loan_events),
            (NOTED, note_what_happened),
            ((contracts.ReplyReceivedV1,), open_promises),
        )
        answers: list[Outgoing] = []
        async with self.engine.begin() as tx:
            for types, handler in handlers:
                batch = [r for r in records if isinstance(r.message, types)]
                if batch:
                    answers += await partial(handler, desk=self.desk)(tx, batch)
        self.sent += answers
        self.published += [answer.message for answer in answers]
        return [answer.message for answer in answers]

    async def settle_promises(self) -> list[Message]:
        work = KeptWork(self.engine, service="ledger")
        loop = PromiseLoop(
            desk=self.desk,
            work=work,
            batch_records_max=100,
            attempt_wait_seconds_max=3600,
        )
        while await loop.run_once():
            pass
        self.published += [answer.message for answer in work.published]
        return [answer.message for answer in work.published]

    async def rows(self, query: str) -> list[Any]:
        async with self.engine.connect() as connection:
            return list((await connection.exec_driver_sql(query)).all())

    async def net(self) -> dict[str, int]:
        sums: Counter[str] = Counter()
        async for line in exports.postings(self.engine):
            sums[line["account"]] += line["amount_minor"]
        return {account: amount for account, amount in sums.items() if amount}


@pytest.fixture(scope="module")
def migrated(platform: LocalPlatform) -> Iterator[str]:
    """A database with the ledger's schema, migrated once and copied for each test."""
    name = f"ledger_template_{os.getpid()}"
    asyncio.run(migrate("ledger", platform.database_url(name)))
    yield name
    platform.drop_databases([name])


@pytest.fixture
def ledger_database(platform: LocalPlatform, migrated: str) -> Iterator[Callable[[], str]]:
    """Make databases with the ledger's schema; dropped after the test."""
    made: list[str] = []

    def make() -> str:
        made.append(f"ledger_{os.getpid()}_{next(_numbers)}")
        platform.create_databases(made[-1:], template=migrated)
        return platform.database_url(made[-1])

    yield make
    platform.drop_databases(made)


@pytest_asyncio.fixture
async def bench(ledger_database: Callable[[], str]) -> AsyncIterator[Bench]:
    engine = create_engine(ledger_database(), application_name="test-ledger")
    own, clock = LedgerSettings(), VirtualClock(NOW)
    yield Bench(
        engine=engine,
        clock=clock,
        desk=Desk(store=SqlLedgerStore(), clock=clock, order=own.order, terms=own.terms),
    )
    await engine.dispose()


def record(message: Message, ce_id: str, at: datetime, *, source: str = "core") -> Received[Any]:
    contract = BY_MESSAGE_TYPE[type(message)]
    return Received(
        message=message,
        ce_id=ce_id,
        ce_source=source,
        ce_type=contract.ce_type,
        ce_time=at,
        traceparent=None,
        body_sha256=ce_id.encode(),
        topic=contract.topic,
        partition=0,
        offset=0,
        aged=False,
    )


def registered(ce_id: str, at: datetime, **changes: Any) -> Received[Any]:
    values: dict[str, Any] = {
        "borrower_id": "B1",
        "loan_id": "L1",
        "currency": "CNY",
        "opened_on": date(2026, 1, 1),
        "outstanding": Amounts(principal_minor=100_000, interest_minor=500),
        "next_due_on": date(2026, 9, 20),
        "next_due": Amounts(principal_minor=9_500, interest_minor=500),
    }
    return record(contracts.LoanRegisteredV1(**{**values, **changes}), ce_id, at)


def overdue(ce_id: str, at: datetime, **changes: Any) -> Received[Any]:
    values: dict[str, Any] = {
        "borrower_id": "B1",
        "loan_id": "L1",
        "currency": "CNY",
        "as_of": at.date(),
        "days_past_due": 5,
        "oldest_unpaid_due_on": at.date() - timedelta(days=5),
        "overdue": Amounts(fees_minor=100, interest_minor=400, principal_minor=9_500),
        "outstanding": Amounts(fees_minor=100, interest_minor=400, principal_minor=100_000),
    }
    return record(contracts.LoanOverdueV1(**{**values, **changes}), ce_id, at)


def paid(payment_id: str, at: datetime, amount: int, *, ce_id: str = "", **changes: Any) -> Received[Any]:
    values = {"borrower_id": "B1", "loan_id": "L1", "payment_id": payment_id, "currency": "CNY"}
    message = contracts.PaymentReceivedV1(**{**values, "amount_minor": amount, **changes})
    return record(message, ce_id or f"pay-{payment_id}", at)


def returned(payment_id: str, at: datetime) -> Received[Any]:
    message = contracts.PaymentReversedV1(borrower_id="B1", loan_id="L1", payment_id=payment_id, reason="Zhang San")
    return record(message, f"return-{payment_id}", at)


def promised(reply_id: str, at: datetime, **changes: Any) -> Received[Any]:
    values: dict[str, Any] = {
        "borrower_id": "B1",
        "reply_id": reply_id,
        "channel": "sms",
        "received_at": at,
        "intent": "promise",
        "promised_minor": 10_000,
        "currency": "CNY",
        "promised_on": date(2026, 9, 18),
    }
    return record(
        contracts.ReplyReceivedV1(**{**values, **changes}), f"reply-{reply_id}", at, source="decorum/notifier"
    )


def attempted(attempt_id: str, at: datetime, due_minor: int) -> Received[Any]:
    loan = contracts.AttemptLoan(
        loan_id="L1",
        balance_version=1,
        overdue_minor=due_minor,
        due_minor=due_minor,
        due_on=date(2026, 9, 11),
        days_past_due=5,
    )
    message = contracts.AttemptSubmittedV1(
        borrower_id="B1",
        attempt_id=attempt_id,
        submission_number=1,
        submitted_at=at,
        expires_at=at + timedelta(hours=8),
        purpose="demand",
        channel="sms",
        contact_point_id="C1",
        currency="CNY",
        loans=(loan,),
        template="first-demand",
        language="zh",
        risk_grade="low",
        strategy="low",
        strategy_hash="h1",
        step_key="day-3",
    )
    return record(message, f"submitted-{attempt_id}", at, source="decorum/scheduler")


def of_borrower(borrower_id: str, received: Received[Any]) -> Received[Any]:
    """The same happening in the life of another borrower."""
    return replace(received, message=replace(received.message, borrower_id=borrower_id))


def of_type(messages: Iterable[Message], message_type: type[Message]) -> list[Any]:
    return [message for message in messages if isinstance(message, message_type)]


def hours(after_now: float) -> datetime:
    return NOW + timedelta(hours=after_now)
