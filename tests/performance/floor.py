"""The floor: the same bytes through the same hops by the bare clients, without any of our logic.

Four processes, one for each service: poll a batch with aiokafka, insert its bodies with one asyncpg `unnest`, publish
as many bytes as the service does; the third sends each one to the carrier with the client that the notifier uses.
Run as `python -m tests.performance.floor HOP` with its settings in the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import asyncpg
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

BATCH_RECORDS_MAX: Final = 1_000
REQUESTS_IN_FLIGHT: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One service of the floor: what it reads, what it writes, how many bytes, whether it calls the carrier."""

    reads: str
    writes: str | None
    body_bytes: int
    calls_carrier: bool = False


HOPS: Final = {
    "ledger": Hop(reads="floor.events", writes="floor.entries", body_bytes=520),
    "scheduler": Hop(reads="floor.entries", writes="floor.attempts", body_bytes=780),
    "gate": Hop(reads="floor.attempts", writes="floor.decisions", body_bytes=1_900),
    "notifier": Hop(reads="floor.decisions", writes="floor.outcomes", body_bytes=420, calls_carrier=True),
}
"""Body sizes as measured on the services' own topics."""


async def run(hop: Hop, *, kafka: str, database: str, carrier: str, key: str) -> None:
    """Work until the process is ended."""
    consumer = AIOKafkaConsumer(
        hop.reads, bootstrap_servers=kafka, group_id=f"floor-{hop.reads}", enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", enable_idempotence=True, max_batch_size=512 * 1024, linger_ms=0
    )
    await consumer.start()
    await producer.start()
    pool = await asyncpg.create_pool(database, min_size=1, max_size=2)
    connector = aiohttp.TCPConnector(limit=REQUESTS_IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Bearer {key}"}) as session:
        while True:
            polled = await consumer.getmany(timeout_ms=250, max_records=BATCH_RECORDS_MAX)
            records = [record for batch in polled.values() for record in batch]
            if not records:
                continue
            async with pool.acquire() as connection:
                await connection.execute(
                    "INSERT INTO floor (hop, id, body) SELECT $1, * FROM unnest($2::text[], $3::bytea[]) "
                    "ON CONFLICT DO NOTHING",
                    hop.reads,
                    [record.key.decode() for record in records],
                    [record.value for record in records],
                )
            if hop.calls_carrier:
                await _call(session, carrier, records)
            if hop.writes:
                body = b"x" * hop.body_bytes
                sent = [await producer.send(hop.writes, value=body, key=record.key) for record in records]
                await asyncio.gather(*sent)
            await consumer.commit(
                {TopicPartition(tp.topic, tp.partition): batch[-1].offset + 1 for tp, batch in polled.items()}
            )


async def _call(session: aiohttp.ClientSession, carrier: str, records: list[Any]) -> None:
    async def one(record: Any) -> None:
        request = {
            "idempotency_key": record.key.decode(),
            "to": "+8613800138000",
            "text": "x" * 160,
            "not_after": "2030-01-01T00:00:00Z",
            "language": "zh",
            "sender": "floor",
        }
        async with session.post(f"{carrier}/v1/messages", data=msgspec.json.encode(request)) as answer:
            await answer.read()

    await asyncio.gather(*(one(record) for record in records))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            run(
                HOPS[sys.argv[1]],
                kafka=os.environ["DECORUM_KAFKA_BOOTSTRAP_SERVERS"],
                database=os.environ["FLOOR_DATABASE_URL"],
                carrier=os.environ["NOTIFIER_SMS_URL"],
                key=os.environ["NOTIFIER_SMS_KEY"],
            )
        )
