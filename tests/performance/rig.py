"""The stack that the benchmark measures: one replica of each service on the embedded servers, fsync on, `acks=all`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import psutil
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from decorum_local import LocalPlatform
from decorum_local.stack import SERVICES, Stack, StackOptions
from shared.clock import write_offset
from shared.contracts.registry import TOPICS
from shared.kafka.log_reader import read_to_end
from shared.kafka.publisher import Publisher
from shared.kafka.records import WireMessage
from shared.kafka.topics import load_topics
from tests.e2e.stillness import lags
from tests.performance.floor import HOPS
from tests.performance.load import START

WAIT_SECONDS_MAX: Final = 300.0
FAULTLESS: Final = {
    f"CARRIER_{share}_SHARE": "0"
    for share in ("REJECT", "ERROR", "LOSS", "RECEIPT_LOSS", "DUPLICATE", "DELAY", "DEAD_LINE", "TIMEOUT", "DISCONNECT")
}


class Rig:
    """Starts and feeds the stack, and looks at it from outside."""

    def __init__(self, platform: LocalPlatform, folder: Path) -> None:
        self.platform = platform
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._clock_file = folder / "clock.json"
        self.reset_clock()
        environment = {
            **FAULTLESS,
            "DECORUM_CLOCK": "shifted",
            "DECORUM_CLOCK_FILE": str(self._clock_file),
            "DECORUM_LOG_LEVEL": "error",
        }
        self.stack = Stack(platform, folder / "logs", StackOptions(environment=environment))

    def reset_clock(self) -> None:
        """Put every process back to the hour at which the measurement starts."""
        offset = START - datetime.now(UTC)
        self.offset_seconds = offset.total_seconds()
        write_offset(self._clock_file, offset)

    async def connect(self) -> None:
        """Connect the publisher that plays the lender's core."""
        self._publisher = Publisher(bootstrap_servers=self.platform.kafka_bootstrap_servers, client_id="bench")
        await self._publisher.start()

    async def close(self) -> None:
        """Let the publisher go."""
        await self._publisher.stop()

    async def publish(self, messages: Sequence[WireMessage]) -> None:
        """Publish all, with every acknowledgement."""
        for start in range(0, len(messages), 2_000):
            await self._publisher.publish(messages[start : start + 2_000])

    def restart(self, service: str, **environment: str) -> None:
        """Drain a service and start it again with `environment` on top of its own."""
        process = self.stack.replicas[service][0]
        process.stop()
        process.start(**environment)
        process.wait_ready()

    async def recorded(self) -> list[WireMessage]:
        """Every record that lies on the platform's topics, in order per key."""
        records = await read_to_end(self.platform.kafka_bootstrap_servers, TOPICS, records_max=sys.maxsize)
        return [WireMessage(topic=r.topic, key=r.key, value=r.value, headers=tuple(r.headers)) for r in records]

    async def create_floor_topics(self) -> None:
        """The floor's own topics, with as many partitions as the services' topics."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.platform.kafka_bootstrap_servers)
        try:
            await admin.start()
            partitions = load_topics()[0].partitions
            names = {name for hop in HOPS.values() for name in (hop.reads, hop.writes) if name}
            await admin.create_topics(
                [NewTopic(name, num_partitions=partitions, replication_factor=1) for name in sorted(names)]
            )
        finally:
            await admin.close()

    async def count(self, database: str, statement: str) -> int:
        """One number out of a service's database."""
        connection = await asyncpg.connect(self.platform.database_url(database).replace("+asyncpg", ""))
        try:
            return int(await connection.fetchval(statement))
        finally:
            await connection.close()

    async def column(self, database: str, statement: str) -> list[str]:
        """The first column of a query in a service's database."""
        connection = await asyncpg.connect(self.platform.database_url(database).replace("+asyncpg", ""))
        try:
            return [row[0] for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time that each process and server has used so far."""
        return {name: _cpu_seconds(pid) for name, pid in self._pids().items()}

    def peak_memory_mb(self) -> dict[str, float]:
        """The most memory that each process and server held so far, in MiB."""
        return {name: _peak_memory_mb(pid) for name, pid in self._pids().items()}

    def _pids(self) -> dict[str, int]:
        pids = {process.name: process.process.pid for process in self.stack.processes}
        return {**pids, "kafka": self.platform.kafka.broker(0).pid, "postgres": self.platform.postgres.process.pid}

    async def until(self, reached: Callable[[], Any], *, every_seconds: float = 0.05) -> float:
        """Seconds until `reached` (a coroutine function) is true; raises when it takes too long."""
        started = time.perf_counter()
        while not await reached():
            if time.perf_counter() - started > WAIT_SECONDS_MAX:
                raise TimeoutError("the stack did not get there in time")
            await asyncio.sleep(every_seconds)
        return time.perf_counter() - started

    async def behind(self, *services: str) -> int:
        """How many records the services have not committed yet, all together."""
        behind = await lags(self.platform.kafka_bootstrap_servers)
        return sum(behind[service] for service in services or SERVICES)

    async def until_read(self, *services: str) -> float:
        """Seconds until the services have no lag."""

        async def nothing_behind() -> bool:
            return await self.behind(*services) == 0

        return await self.until(nothing_behind, every_seconds=0.2)

    def requests(self) -> list[dict[str, Any]]:
        """The requests that the carrier wrote down so far."""
        if not self.stack.carrier_journal.exists():
            return []
        lines = self.stack.carrier_journal.read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["kind"] == "request"]


def _peak_memory_mb(pid: int) -> float:
    """The most memory that a process and its children ever held, in MiB (Linux), else what they hold now.

    Pages that they share count in each: PostgreSQL's buffers once for each backend that used them.
    """
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(map(_peak_mb, processes))


def _peak_mb(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status")
    try:
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    except FileNotFoundError:  # another system, or a backend that has just ended
        return float(process.memory_info().rss) / 2**20 if process.is_running() else 0.0


def _cpu_seconds(pid: int) -> float:
    """Of a process and of its children, those that ended included."""
    process = psutil.Process(pid)
    times = [process.cpu_times(), *(child.cpu_times() for child in process.children(recursive=True))]
    ended = times[0].children_user + times[0].children_system
    return float(sum(t.user + t.system for t in times) + ended)
