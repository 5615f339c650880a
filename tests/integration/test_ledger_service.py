"""The ledger as a process on real Kafka and Postgres: killed while it works, replayed, doubled, fed with poison."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from decorum_local import LocalPlatform, ServiceProcess
from shared import contracts
from shared.contracts import Amounts, Message
from shared.contracts.registry import LEDGER_ENTRIES, LOAN_EVENTS
from shared.kafka.records import Outgoing, WireMessage, encode
from shared.postgres.migrations import migrate

LOANS = 300
PATIENCE_SECONDS = 90
NOW = datetime.now(UTC).replace(microsecond=0)


def wire(message: Message, ce_id: str, at: datetime) -> WireMessage:
    return encode(Outgoing(message=message, ce_id=ce_id, ce_time=at), source="core")


def events() -> list[WireMessage]:
    """A snapshot, a payment, and a payment that comes late, of each loan; then a snapshot in a wrong currency."""
    made: list[WireMessage] = []
    for number in range(LOANS):
        loan = {"borrower_id": f"B{number}", "loan_id": f"L{number}"}
        due_on = (NOW - timedelta(days=10)).date()
        snapshot = contracts.LoanOverdueV1(
            **loan,
            currency="CNY",
            as_of=NOW.date(),
            days_past_due=10,
            oldest_unpaid_due_on=due_on,
            overdue=Amounts(interest_minor=500, principal_minor=4_500),
            outstanding=Amounts(interest_minor=500, principal_minor=50_000),
        )
        payment = contracts.PaymentReceivedV1(**loan, payment_id="P2", currency="CNY", amount_minor=2_000)
        late = contracts.PaymentReceivedV1(**loan, payment_id="P1", currency="CNY", amount_minor=100)
        made.append(wire(snapshot, f"s{number}", NOW - timedelta(hours=9)))
        made.append(wire(payment, f"p{number}", NOW - timedelta(hours=1)))
        made.append(wire(late, f"q{number}", NOW - timedelta(hours=5)))
    wrong = contracts.LoanRegisteredV1(
        borrower_id="B0", loan_id="L0", currency="USD", opened_on=NOW.date(), outstanding=Amounts()
    )
    return [*made, wire(wrong, "wrong", NOW)]


async def publish(platform: LocalPlatform, messages: list[WireMessage]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=platform.kafka_bootstrap_servers, acks="all")
    await producer.start()
    try:
        for message in messages:
            await producer.send(message.topic, message.value, key=message.key, headers=list(message.headers))
        await producer.flush()
    finally:
        await producer.stop()


async def read(platform: LocalPlatform, topic: str) -> list[tuple[str, str]]:
    """Id and type of every record of `topic`."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=platform.kafka_bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    headers = dict(record.headers)
                    found.append((headers["ce_id"].decode(), headers["ce_type"].decode()))
        return found
    finally:
        await consumer.stop()


async def booked(url: str) -> int:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        count: int = await connection.fetchval("SELECT count(*) FROM inbox")
        return count
    finally:
        await connection.close()


async def wait_for_booked(url: str, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await booked(url) < count:
        assert time.monotonic() < deadline, "the ledger did not book everything in time"
        await asyncio.sleep(0.1)


async def test_a_ledger_that_is_killed_and_fed_twice_books_everything_once(
    clean_platform: LocalPlatform, tmp_path: Path
) -> None:
    url = clean_platform.database_url("ledger")
    await migrate("ledger", url)
    ledger = ServiceProcess(
        clean_platform.supervisor,
        name="ledger",
        app="ledger.app:app",
        environment=clean_platform.environment(),
        log_folder=tmp_path,
    )
    messages = events()
    await asyncio.to_thread(ledger.start)
    await asyncio.to_thread(ledger.wait_ready)
    await publish(clean_platform, messages)
    await wait_for_booked(url, 1)
    await asyncio.to_thread(ledger.kill)
    await publish(clean_platform, messages)
    await asyncio.to_thread(ledger.start)
    await wait_for_booked(url, 3 * LOANS)
    await asyncio.to_thread(ledger.wait_ready)
    assert await asyncio.to_thread(ledger.stop), "drains by itself when asked to end"

    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        unbalanced = await connection.fetch(
            "SELECT transaction_id FROM posting GROUP BY borrower_id, transaction_id HAVING sum(amount_minor) <> 0"
        )
        cash = await connection.fetch(
            "SELECT sum(amount_minor) AS s FROM posting WHERE account = 'cash' GROUP BY loan_id"
        )
        versions = await connection.fetch("SELECT balance_version, outstanding_interest_minor FROM loan")
    finally:
        await connection.close()
    assert unbalanced == []
    assert [row["s"] for row in cash] == [2_100] * LOANS
    assert {tuple(row) for row in versions} == {(3, 0)}
    entries = Counter(ce_type for _, ce_type in set(await read(clean_platform, LEDGER_ENTRIES)))
    assert entries == {"ledger.balance-changed.v1": 3 * LOANS, "ledger.payment-posted.v1": 3 * LOANS}
    assert {ce_id for ce_id, _ in await read(clean_platform, f"{LOAN_EVENTS}.dead-letter")} == {"wrong"}
