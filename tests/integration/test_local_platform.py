"""The embedded servers: durable, restartable, and gone when their owner is gone."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from decorum_local import Command, LocalPlatform, ServerError, ServiceProcess
from shared.kafka.topics import Topic, create_topics

GONE_TIMEOUT_SECONDS = 30
RECORDS = 2_000

OWNER_OF_A_PLATFORM = """
import json, sys
from pathlib import Path
from decorum_local import Command, LocalPlatform

folder = Path(sys.argv[1])
with LocalPlatform(folder) as platform:
    sleeper = platform.supervisor.start(
        Command(name="sleeper", arguments=[sys.executable, "-c", "import time; time.sleep(600)"],
                environment={}, log_path=folder / "sleeper.log")
    )
    sleeper.pause()
    print(json.dumps([platform.kafka.broker().pid, platform.postgres.process.pid, sleeper.pid]), flush=True)
    sys.stdin.read()  # to the end of whoever started it
"""

OWNER_OF_A_SLEEPER = """
import json, signal, sys
from pathlib import Path
from decorum_local import Command, Supervisor

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background may have had it ignored
folder = Path(sys.argv[1])
supervisor = Supervisor(folder)
sleeper = supervisor.start(
    Command(name="sleeper", arguments=[sys.executable, "-c", "import time; time.sleep(600)"],
            environment={}, log_path=folder / "sleeper.log")
)
print(json.dumps([sleeper.pid]), flush=True)
sys.stdin.read()
"""


async def own_topic(platform: LocalPlatform, name: str) -> str:
    topic = Topic(name=name, partitions=2, replication_factor=1, settings={})
    await create_topics(platform.kafka_bootstrap_servers, [topic])
    return name


async def read_all(platform: LocalPlatform, topic: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.kafka_bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(2)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        values: list[bytes] = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            batches = await consumer.getmany(timeout_ms=1000)
            values += [record.value for records in batches.values() for record in records]
        return values
    finally:
        await consumer.stop()


async def connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url.replace("+asyncpg", ""))


async def test_a_record_that_all_replicas_acknowledged_is_read_back(platform: LocalPlatform, topic_prefix: str) -> None:
    topic = await own_topic(platform, f"{topic_prefix}records")
    async with AIOKafkaProducer(
        bootstrap_servers=platform.kafka_bootstrap_servers, acks="all", enable_idempotence=True
    ) as producer:
        await producer.send_and_wait(topic, b"value", key=b"key")
    assert await read_all(platform, topic) == [b"value"]


async def test_no_topic_comes_to_be_by_a_clients_use_of_it(platform: LocalPlatform, topic_prefix: str) -> None:
    topic = f"{topic_prefix}nobody-made-me"
    async with AIOKafkaProducer(
        bootstrap_servers=platform.kafka_bootstrap_servers, request_timeout_ms=1_000, retry_backoff_ms=100
    ) as producer:
        with pytest.raises(KafkaError):
            await producer.partitions_for(topic)
    async with AIOKafkaConsumer(bootstrap_servers=platform.kafka_bootstrap_servers) as consumer:
        assert topic not in await consumer.topics()


async def test_postgres_is_version_18_and_durable(platform: LocalPlatform, database_url: str) -> None:
    connection = await connect(database_url)
    try:
        assert await connection.fetchval("SELECT current_setting('server_version_num')::int / 10000") == 18
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await connection.fetchval("SELECT current_setting($1)", setting) == "on"
    finally:
        await connection.close()


async def test_a_killed_broker_comes_back_with_every_acknowledged_record(
    platform: LocalPlatform, topic_prefix: str
) -> None:
    topic = await own_topic(platform, f"{topic_prefix}kept")
    acknowledged: set[bytes] = set()

    async def send(producer: AIOKafkaProducer, value: bytes) -> None:
        await producer.send_and_wait(topic, value)
        acknowledged.add(value)

    async with AIOKafkaProducer(
        bootstrap_servers=platform.kafka_bootstrap_servers, acks="all", enable_idempotence=True, retry_backoff_ms=50
    ) as producer:
        sends = [asyncio.create_task(send(producer, b"%d" % number)) for number in range(RECORDS)]
        await asyncio.wait(sends, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(platform.kill_broker)
        await asyncio.to_thread(platform.start_broker)
        await asyncio.gather(*sends)
    values = await read_all(platform, topic)
    assert len(acknowledged) == RECORDS
    assert sorted(values) == sorted(acknowledged)


async def test_a_killed_postgres_comes_back_with_every_committed_row(
    platform: LocalPlatform, database_url: str
) -> None:
    connection = await connect(database_url)
    await connection.execute("CREATE TABLE kept (number int PRIMARY KEY)")
    await connection.executemany("INSERT INTO kept VALUES ($1)", [(number,) for number in range(RECORDS)])
    await asyncio.to_thread(platform.kill_postgres)
    connection.terminate()
    await asyncio.to_thread(platform.start_postgres)
    connection = await connect(database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM kept") == RECORDS
    finally:
        await connection.close()


def test_the_platforms_folder_is_refused_to_a_second_one(platform: LocalPlatform) -> None:
    with pytest.raises(ServerError, match="another platform runs in"):
        LocalPlatform(platform.folder).start()


def test_a_process_that_ends_before_it_is_ready_is_reported_with_its_log(platform: LocalPlatform) -> None:
    service = ServiceProcess(
        platform.supervisor,
        name="missing",
        app="decorum_local.no_such_module:app",
        environment=platform.environment(),
        log_folder=platform.folder,
    )
    service.start()
    with pytest.raises(ServerError, match="no_such_module"):
        service.wait_ready(timeout_seconds=GONE_TIMEOUT_SECONDS)


def test_a_stopped_process_can_be_woken_and_ended(platform: LocalPlatform) -> None:
    sleeper = platform.supervisor.start(
        Command(
            name="sleeper",
            arguments=[sys.executable, "-c", "import time; time.sleep(600)"],
            environment={},
            log_path=platform.folder / "sleeper.log",
        )
    )
    sleeper.pause()
    assert psutil.Process(sleeper.pid).status() == psutil.STATUS_STOPPED
    sleeper.resume()
    assert sleeper.stop(timeout_seconds=GONE_TIMEOUT_SECONDS)
    assert sleeper.poll() == -signal.SIGTERM


def test_no_process_of_a_platform_is_left_when_its_owner_is_killed(platform: LocalPlatform) -> None:
    assert_all_gone_after(signal.SIGKILL, OWNER_OF_A_PLATFORM, platform.folder / "owner")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_is_left_however_its_owner_ends(how: signal.Signals, tmp_path: Path) -> None:
    assert_all_gone_after(how, OWNER_OF_A_SLEEPER, tmp_path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_no_process_is_left_when_the_watchdog_itself_is_killed(tmp_path: Path) -> None:
    with owner(OWNER_OF_A_SLEEPER, tmp_path) as process:
        processes = started_by(process)
        for child in psutil.Process(process.pid).children():
            child.kill()
        assert_gone(processes)
        process.kill()


def assert_all_gone_after(how: signal.Signals, script: str, folder: Path) -> None:
    with owner(script, folder) as process:
        processes = started_by(process)
        process.send_signal(how)
        try:
            process.wait(GONE_TIMEOUT_SECONDS)
            assert_gone(processes)
        finally:
            process.kill()


def owner(script: str, folder: Path) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DECORUM_")}
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def started_by(process: subprocess.Popen[str]) -> list[psutil.Process]:
    assert process.stdout is not None
    named = [psutil.Process(pid) for pid in json.loads(process.stdout.readline())]
    return [*named, *psutil.Process(process.pid).children(recursive=True)]


def assert_gone(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + GONE_TIMEOUT_SECONDS
    while left := [process for process in processes if process.is_running() and process.status() != "zombie"]:
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.02)
