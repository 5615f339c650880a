"""A cluster of three brokers loses one with SIGKILL while the platform's own publisher and consumer are at work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from decorum_local import LocalPlatform
from shared.contracts.registry import LOAN_EVENTS
from shared.errors import Transient
from shared.kafka.publisher import Publisher
from shared.kafka.records import WireMessage
from shared.kafka.topics import differences, load_topics
from tests.toy_world import ToyWorld, payment

CHUNKS, CHUNK_RECORDS = 60, 50
KILL_AFTER_CHUNKS = 15
REPUBLISH_SECONDS_MAX = 120


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalPlatform]:
    with LocalPlatform(tmp_path / "servers", brokers=3) as platform:
        pids = [platform.kafka.broker(number).pid for number in range(3)]
        yield platform
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def publish(publisher: Publisher, messages: list[WireMessage]) -> None:
    """As a lender's core would: again until it is acknowledged; the doubles are dropped by whoever reads them."""
    deadline = time.monotonic() + REPUBLISH_SECONDS_MAX
    while True:
        try:
            return await publisher.publish(messages)
        except Transient:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def test_nothing_is_lost_and_nothing_applied_twice_when_one_of_three_brokers_is_killed(
    cluster: LocalPlatform, tmp_path: Path
) -> None:
    cluster.create_topics()
    [topic] = [t for t in load_topics(replication_factor=3) if t.name == LOAN_EVENTS]
    assert topic.settings["min.insync.replicas"] == "2"
    assert not await differences(cluster.kafka_bootstrap_servers, [topic])
    world = ToyWorld(
        bootstrap_servers=cluster.kafka_bootstrap_servers,
        database_url=cluster.database_url("toy"),
        folder=tmp_path,
        name="toy",
    )
    publisher = Publisher(bootstrap_servers=cluster.kafka_bootstrap_servers, client_id="lender")
    numbers = range(CHUNKS * CHUNK_RECORDS)
    await world.open()
    await publisher.start()
    try:
        async with world.replica().running():
            for chunk in range(CHUNKS):
                part = numbers[chunk * CHUNK_RECORDS : (chunk + 1) * CHUNK_RECORDS]
                publishing = asyncio.create_task(publish(publisher, [payment(n, borrower=f"B-{n % 97}") for n in part]))
                if chunk == KILL_AFTER_CHUNKS:
                    await asyncio.to_thread(cluster.kill_broker, 1)
                await publishing
            await world.until_applied(len(numbers))
            await world.until_idle()
    finally:
        await publisher.stop()
        await world.close()
    assert sorted(await world.entries()) == sorted(f"E-{n}" for n in numbers)
    assert sum((await world.totals()).values()) == 100 * len(numbers)
    assert not await world.dead_letters()
