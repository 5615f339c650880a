"""Reads topics from where one says to where they end now, without a consumer group: for commands, audits and tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.kafka import forgiving

forgiving.install()

POLL_TIMEOUT_MS: Final = 1_000
REQUEST_TIMEOUT_MS: Final = 15_000


async def partitions_of(bootstrap_servers: str, topics: Collection[str]) -> list[TopicPartition]:
    """The partitions of those of `topics` that exist; raises KafkaError when the broker can't be reached."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await admin.start()
        existing = sorted(set(await admin.list_topics()) & set(topics))
        described = await admin.describe_topics(existing) if existing else []
        return sorted(
            TopicPartition(topic["topic"], p["partition"]) for topic in described for p in topic["partitions"]
        )
    finally:
        await admin.close()


async def ends_of(bootstrap_servers: str, topics: Collection[str]) -> dict[TopicPartition, int]:
    """Where each partition of `topics` ends now."""
    partitions = await partitions_of(bootstrap_servers, topics)
    if not partitions:
        return {}
    async with _reader(bootstrap_servers) as reader:
        reader.assign(partitions)  # or the client would ask for each topic's leaders by itself, 100 ms apart
        return dict(await reader.end_offsets(partitions))


async def read_to_end(
    bootstrap_servers: str,
    topics: Collection[str],
    *,
    begins: Mapping[TopicPartition, int] | None = None,
    records_max: int,
) -> list[Any]:
    """The records of `topics`, each partition in order, from `begins` (else from the first that is kept).

    Stops at the ends of the moment at which it began, or after `records_max`.
    """
    partitions = await partitions_of(bootstrap_servers, topics)
    if not partitions:
        return []
    async with _reader(bootstrap_servers) as reader:
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        for tp, first in (await reader.beginning_offsets(partitions)).items():
            reader.seek(tp, max(first, (begins or {}).get(tp, 0)))
        records: list[Any] = []
        while len(records) < records_max:
            behind = [tp for tp in partitions if await reader.position(tp) < ends[tp]]
            if not behind:
                break
            polled = await reader.getmany(*behind, timeout_ms=POLL_TIMEOUT_MS, max_records=records_max - len(records))
            records += [record for batch in polled.values() for record in batch]
        return records


@asynccontextmanager
async def _reader(bootstrap_servers: str) -> AsyncIterator[Any]:
    reader = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()
