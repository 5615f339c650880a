"""Two notifiers as processes on real Kafka and Postgres; one is killed while it sends, and comes back."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from decorum_local import LocalPlatform, ServiceProcess
from notifier.domain.signatures import signature
from shared.contracts.registry import BY_CE_TYPE, OUTCOMES, REPLIES
from shared.kafka.records import Outgoing, encode
from shared.postgres.migrations import migrate
from tests.notifier_world.carrier import HttpCarrier
from tests.notifier_world.messages import allowed, borrower

PERMITS = 400
PATIENCE_SECONDS = 90
SECRET = "a secret of the carrier"
NOW = datetime.now(UTC).replace(microsecond=0)


def replica(platform: LocalPlatform, carrier: HttpCarrier, folder: Path, name: str) -> ServiceProcess:
    environment = {
        **platform.environment(),
        "NOTIFIER_SMS_URL": carrier.url,
        "NOTIFIER_SMS_KEY": "key",
        "NOTIFIER_SMS_RATE_PER_SECOND": "200",
        "NOTIFIER_WEBHOOK_SECRET": SECRET,
        "NOTIFIER_SEALING_KEY": base64.b64encode(bytes(32)).decode(),
        "NOTIFIER_PROVIDER_TIMEOUT_SECONDS": "3",
        "NOTIFIER_LEASE_SECONDS": "6",
    }
    return ServiceProcess(
        platform.supervisor, name=name, app="notifier.app:app", environment=environment, log_folder=folder
    )


async def publish(platform: LocalPlatform, messages: list[tuple[Any, str]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=platform.kafka_bootstrap_servers, acks="all")
    await producer.start()
    try:
        for message, ce_id in messages:
            wire = encode(Outgoing(message=message, ce_id=ce_id, ce_time=NOW), source="test")
            await producer.send(wire.topic, wire.value, key=wire.key, headers=list(wire.headers))
        await producer.flush()
    finally:
        await producer.stop()


async def read_until(platform: LocalPlatform, topic: str, wanted: set[str]) -> dict[str, set[tuple[str, str]]]:
    """By borrower, the ids and types on `topic`, once each of `wanted` has one."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=platform.kafka_bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while not wanted <= set(found):
            assert time.monotonic() < deadline, f"{len(wanted - set(found))} never came"
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    headers = dict(record.headers)
                    ce_type = headers["ce_type"].decode()
                    message = msgspec.json.decode(record.value, type=BY_CE_TYPE[ce_type].message_type)
                    found[message.borrower_id].add((headers["ce_id"].decode(), type(message).__name__))
        return found
    finally:
        await consumer.stop()


async def deliver(service: ServiceProcess, path: str, body: dict[str, Any]) -> int:
    """Post a signed delivery, as the carrier does."""
    data = msgspec.json.encode(body)
    timestamp, delivery = str(int(time.time())), f"delivery-{body['inbound_id']}"
    headers = {
        "x-decorum-timestamp": timestamp,
        "x-decorum-delivery": delivery,
        "x-decorum-signature": signature(SECRET.encode(), timestamp=timestamp, delivery=delivery, body=data),
    }
    async with ClientSession() as session, session.post(service.url + path, data=data, headers=headers) as answer:
        return answer.status


async def test_a_notifier_that_is_killed_while_it_sends_sends_nothing_twice_and_ends_every_permit(
    clean_platform: LocalPlatform, tmp_path: Path
) -> None:
    await migrate("notifier", clean_platform.database_url("notifier"))
    names = [f"B{number:04}" for number in range(PERMITS)]
    async with HttpCarrier() as carrier:
        replicas = [replica(clean_platform, carrier, tmp_path, f"notifier-{i}") for i in range(2)]
        for one in replicas:
            await asyncio.to_thread(one.start)
        for one in replicas:
            await asyncio.to_thread(one.wait_ready)
        await publish(clean_platform, [(borrower(n, f"+86138{i:08}"), f"b{i}") for i, n in enumerate(names)])
        permits = [(allowed(n, f"A{n}", now=NOW), f"p{n}") for n in names]
        await publish(clean_platform, permits)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(carrier.requests) < PERMITS // 4:
            assert time.monotonic() < deadline, "nothing is sent"
            await asyncio.sleep(0.02)
        await asyncio.to_thread(replicas[0].kill)
        await publish(clean_platform, permits)
        await asyncio.to_thread(replicas[0].start)
        ends = await read_until(clean_platform, OUTCOMES, set(names))
        assert set(carrier.times_asked.values()) == {1}
        kinds = {name: {kind for _, kind in told} for name, told in ends.items()}
        assert all(kind in ({"ContactMadeV1"}, {"ContactUnknownV1"}) for kind in kinds.values())
        lost = [
            name for name, kind in kinds.items() if kind == {"ContactMadeV1"} and not carrier.times_asked[f"A{name}"]
        ]
        assert lost == []

        await asyncio.to_thread(replicas[0].wait_ready)
        at = datetime.now(UTC).isoformat()
        inbound = {"inbound_id": "I1", "from": "+8613800000000", "text": "退订", "at": at}
        assert await deliver(replicas[1], "/webhooks/sms/inbound", inbound) == 200
        assert await deliver(replicas[0], "/webhooks/sms/inbound", inbound) == 409
        replies = await read_until(clean_platform, REPLIES, {names[0]})
        assert {kind for _, kind in replies[names[0]]} == {"ReplyReceivedV1"}
        for one in replicas:
            await asyncio.to_thread(one.stop)


async def test_a_notifier_that_is_asked_to_end_while_it_sends_claims_no_more_and_knows_what_came_of_each_request(
    clean_platform: LocalPlatform, tmp_path: Path
) -> None:
    url = clean_platform.database_url("notifier")
    await migrate("notifier", url)
    names = [f"B{number:04}" for number in range(PERMITS)]
    async with HttpCarrier() as carrier:
        carrier.delay_seconds = 0.5
        notifier = replica(clean_platform, carrier, tmp_path, "notifier")
        await asyncio.to_thread(notifier.start)
        await asyncio.to_thread(notifier.wait_ready)
        await publish(clean_platform, [(borrower(n, f"+86138{i:08}"), f"b{i}") for i, n in enumerate(names)])
        await publish(clean_platform, [(allowed(n, f"A{n}", now=NOW), f"p{n}") for n in names])
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(carrier.requests) < PERMITS // 4:
            assert time.monotonic() < deadline, "nothing is sent"
            await asyncio.sleep(0.02)
        assert await asyncio.to_thread(notifier.stop), "drains by itself when asked to end"
        sent = dict(carrier.times_asked)
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        states = dict(await connection.fetch("SELECT state, count(*) FROM permit GROUP BY state"))
    finally:
        await connection.close()
    assert set(sent.values()) == {1}
    assert len(sent) < PERMITS, "all was sent before it was asked to end"
    assert states == {"made": len(sent), "permitted": PERMITS - len(sent)}
