"""The scheduler as processes on real Kafka and Postgres: killed while it releases, fed twice, stopped by a bad file."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from decorum_local import LocalPlatform, ServiceProcess
from decorum_local.supervisor import ServerError
from scheduler.settings import SHIPPED_STRATEGIES
from shared.contracts import AttemptSubmittedV1, Message
from shared.contracts.registry import ATTEMPTS
from shared.kafka.records import Outgoing, encode
from shared.postgres.migrations import migrate
from tests.unit.scheduler_cases import at, balance, borrower, made

BORROWERS = 300
PATIENCE_SECONDS = 60


@pytest.fixture
async def start(clean_platform: LocalPlatform, tmp_path: Path) -> AsyncIterator[Callable[[str], ServiceProcess]]:
    """Starts replicas in virtual time on a migrated database."""
    await migrate("scheduler", clean_platform.database_url("scheduler"))
    started: list[ServiceProcess] = []

    def one(name: str) -> ServiceProcess:
        replica = ServiceProcess(
            clean_platform.supervisor,
            name=name,
            app="scheduler.app:app",
            environment={
                **clean_platform.environment(),
                "DECORUM_CLOCK": "virtual",
                "DECORUM_CLOCK_START": at(10, 20).isoformat(),
                "SCHEDULER_RELEASE_BORROWERS_MAX": "10",
            },
            log_folder=tmp_path,
        )
        replica.start()
        started.append(replica)
        return replica

    yield one
    for replica in started:
        await asyncio.to_thread(replica.stop)


async def publish(platform: LocalPlatform, messages: Sequence[Message], ce_time: datetime) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=platform.kafka_bootstrap_servers, acks="all")
    await producer.start()
    try:
        for number, message in enumerate(messages):
            ce_id = f"{type(message).__name__}-{message.borrower_id}-{number}"
            wire = encode(Outgoing(message=message, ce_id=ce_id, ce_time=ce_time), source="core")
            await producer.send(wire.topic, wire.value, key=wire.key, headers=list(wire.headers))
        await producer.flush()
    finally:
        await producer.stop()


async def read_attempts(platform: LocalPlatform) -> list[tuple[str, AttemptSubmittedV1]]:
    """Everything on the topic of attempts: id and message."""
    consumer = AIOKafkaConsumer(
        ATTEMPTS, bootstrap_servers=platform.kafka_bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    ce_id = dict(record.headers)["ce_id"].decode()
                    found.append((ce_id, msgspec.json.decode(record.value, type=AttemptSubmittedV1)))
        return found
    finally:
        await consumer.stop()


def tick(replica: ServiceProcess, now: datetime, phase: str) -> None:
    body = msgspec.json.encode({"now": now, "phase": phase})
    with urlopen(Request(f"{replica.url}/simulation/tick", data=body, method="POST"), timeout=10):
        pass


async def wait_for(url: str, query: str, expected: int) -> None:
    """Wait until `query` counts `expected`."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := await connection.fetchval(query)) != expected:
            assert time.monotonic() < deadline, f"{query}: {found} instead of {expected}"
            await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def test_two_replicas_of_which_one_is_killed_hand_over_every_attempt_once(
    clean_platform: LocalPlatform, start: Callable[[str], ServiceProcess]
) -> None:
    url = clean_platform.database_url("scheduler")
    replicas = [start("scheduler-0"), start("scheduler-1")]
    for replica in replicas:
        await asyncio.to_thread(replica.wait_ready)
    ids = [f"b-{n}" for n in range(BORROWERS)]
    people = [borrower(borrower_id=b) for b in ids]
    loans = [msgspec.structs.replace(balance(), borrower_id=b) for b in ids]
    await publish(clean_platform, [*people, *loans, *loans], at(10, 19))
    await wait_for(url, "SELECT count(*) FROM borrower WHERE wake_at IS NOT NULL", BORROWERS)
    for replica in replicas:
        await asyncio.to_thread(tick, replica, at(11, 9), "releases")
    await asyncio.to_thread(replicas[0].kill)
    await wait_for(url, "SELECT count(*) FROM submission", BORROWERS)
    await wait_for(url, "SELECT count(*) FROM outbox", 0)
    attempts = await read_attempts(clean_platform)
    submissions = {(s.attempt_id, s.submission_number): s for _, s in attempts}
    assert {s.borrower_id for s in submissions.values()} == set(ids)
    assert len(submissions) == len({ce_id for ce_id, _ in attempts}) == BORROWERS
    outcomes = [made(s, on=at(11, 9)) for s in submissions.values()]
    await publish(clean_platform, [*outcomes, *outcomes], at(11, 9))
    await wait_for(url, "SELECT count(*) FROM attempt WHERE state = 'made'", BORROWERS)
    await wait_for(url, f"SELECT count(*) FROM borrower WHERE wake_at > '{at(12)}'", BORROWERS)


async def test_a_late_tick_releases_nothing_before_the_phase_of_releases(
    clean_platform: LocalPlatform, start: Callable[[str], ServiceProcess]
) -> None:
    url = clean_platform.database_url("scheduler")
    replica = start("scheduler-0")
    await asyncio.to_thread(replica.wait_ready)
    await publish(clean_platform, [borrower(), balance()], at(10, 19))
    await wait_for(url, "SELECT count(*) FROM borrower WHERE wake_at IS NOT NULL", 1)
    await asyncio.to_thread(tick, replica, at(11, 9), "events")
    await publish(clean_platform, [balance(2, overdue_minor=70_000)], at(11, 9))
    await wait_for(url, "SELECT count(*) FROM loan WHERE balance_version = 2", 1)
    await wait_for(url, "SELECT count(*) FROM submission", 0)
    await asyncio.to_thread(tick, replica, at(11, 9), "releases")
    await wait_for(url, "SELECT count(*) FROM submission", 1)
    await wait_for(url, "SELECT count(*) FROM outbox", 0)
    ((_, submission),) = await read_attempts(clean_platform)
    assert (submission.due_minor, submission.submitted_at) == (70_000, at(11, 9))
    assert submission.expires_at > at(11, 9) + timedelta(hours=1)


async def test_an_invalid_strategy_stops_the_start_with_file_line_and_reason(
    clean_platform: LocalPlatform, tmp_path: Path
) -> None:
    folder = tmp_path / "strategies"
    shutil.copytree(SHIPPED_STRATEGIES, folder)
    path = folder / "courteous-low.yaml"
    path.write_text(path.read_text().replace("grade: low", "grade: mild", 1))
    replica = ServiceProcess(
        clean_platform.supervisor,
        name="scheduler",
        app="scheduler.app:app",
        environment={**clean_platform.environment(), "SCHEDULER_STRATEGIES_FOLDER": str(folder)},
        log_folder=tmp_path,
    )
    replica.start()
    with pytest.raises(ServerError):
        await asyncio.to_thread(replica.wait_ready)
    assert "courteous-low.yaml:4: grade: Invalid enum value 'mild'" in replica.log_path.read_text()
