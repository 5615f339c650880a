"""Every event of a run, read back from Kafka, as CloudEvents in structured form."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer

from decorum_simulation.demo.files import instant
from shared.contracts.registry import TOPICS
from shared.kafka.dead_letters import SUFFIX

READ_BYTES_MAX: Final = 8 * 1024 * 1024


async def read_events(bootstrap_servers: str) -> AsyncIterator[tuple[tuple[str, str, str], bytes]]:
    """Sort key and JSON of every record on every topic of the contracts; doubles appear as often as they were sent."""
    async with _reader(bootstrap_servers, TOPICS) as consumer:
        partitions = consumer.assignment()
        ends = {tp: offset for tp, offset in (await consumer.end_offsets(partitions)).items() if offset > 0}
        while ends:
            for tp, records in (await consumer.getmany(timeout_ms=1_000, max_records=5_000)).items():
                for record in records:
                    yield _structured(record.headers, record.value)
                if tp in ends and records and records[-1].offset + 1 >= ends[tp]:
                    del ends[tp]


async def count_dead_letters(bootstrap_servers: str) -> int:
    """How many records of the run nobody could handle."""
    async with _reader(bootstrap_servers, [topic + SUFFIX for topic in TOPICS]) as consumer:
        return sum((await consumer.end_offsets(consumer.assignment())).values())


@asynccontextmanager
async def _reader(bootstrap_servers: str, topics: Sequence[str]) -> AsyncIterator[Any]:
    """A consumer without a group: it is given every partition of `topics` and commits nothing."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap_servers,
        group_id=None,
        enable_auto_commit=False,
        max_partition_fetch_bytes=READ_BYTES_MAX,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        missing = set(topics) - {tp.topic for tp in consumer.assignment()}
        if missing:
            raise RuntimeError(f"no partition of {', '.join(sorted(missing))} can be read")
        yield consumer
    finally:
        await consumer.stop()


def _structured(headers: list[tuple[str, bytes]], value: bytes) -> tuple[tuple[str, str, str], bytes]:
    named = {name: content.decode() for name, content in headers}
    at = instant(datetime.fromisoformat(named["ce_time"]))
    event = {
        "specversion": named.get("ce_specversion", "1.0"),
        "id": named["ce_id"],
        "source": named["ce_source"],
        "type": named["ce_type"],
        "time": at,
        "datacontenttype": "application/json",
        "data": msgspec.Raw(value),
    }
    return (at, named["ce_id"], named["ce_source"]), msgspec.json.encode(event)
