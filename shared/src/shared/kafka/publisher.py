"""The one idempotent producer of a process: what it was given is acknowledged by all in-sync replicas, or it raises."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from shared.errors import Transient
from shared.kafka import broken_connections
from shared.kafka.records import WireMessage

MESSAGE_BYTES_MAX: Final = 2 * 1024 * 1024
BATCH_BYTES_MAX: Final = 512 * 1024
PUBLISH_TIMEOUT_SECONDS: Final = 30.0
"""Stays below the consumer's `RETRY_SECONDS_MAX` and below `idle_in_transaction_session_timeout` of the databases."""
STOP_TIMEOUT_SECONDS: Final = 5.0
Partition = tuple[str, int]
broken_connections.install()
log = structlog.get_logger()


class Publisher:
    """Publishes batches and awaits their acknowledgement; remembers how far it has published, per partition.

    Messages are put into Kafka's own batches here, one for each partition: a fraction of the work of a future for each
    message. The partition is the one that every other Kafka client chooses for the same key.
    """

    def __init__(self, *, bootstrap_servers: str, client_id: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._failed: AIOKafkaProducer | None = None
        self._reconnecting = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self.published: dict[str, int] = {}
        """Next offset after the last record that this process published, by `topic-partition`."""

    async def start(self) -> None:
        """Connect; raises KafkaError or TimeoutError while the broker is away."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap_servers,
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=MESSAGE_BYTES_MAX,
            request_timeout_ms=20_000,
            retry_backoff_ms=50,
        )
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
                await producer.start()
        except BaseException:
            await _let_go(producer)
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Flush and disconnect, bounded."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _let_go(producer)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def publish(self, messages: Sequence[WireMessage]) -> None:
        """Publish all of `messages`, in order per key, and wait for every acknowledgement.

        Raises `Transient` when one could not be confirmed; then any of them may or may not be on its topic, but none
        without those before it of the same key. The caller publishes all again (readers drop the doubles by their ids).
        """
        if not messages:
            return
        producer = self._producer
        if producer is not None and producer is self._failed:
            # It would let the whole time-out pass, also when the broker has long been back.
            await self._replace(producer)
            producer = self._producer
        if producer is None or producer is self._failed:
            raise Transient("the producer is not connected")
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
                await self._publish(producer, messages)
        except (KafkaError, TimeoutError) as error:
            await self._replace(producer)
            raise Transient(f"publishing failed: {type(error).__name__}") from error

    async def _publish(self, producer: AIOKafkaProducer, messages: Sequence[WireMessage]) -> None:
        partitions = {topic: sorted(await producer.partitions_for(topic)) for topic in {m.topic for m in messages}}
        batches: dict[Partition, list[Any]] = defaultdict(list)
        for message in messages:
            choices = partitions[message.topic]
            filled = batches[(message.topic, choices[_hash(message.key) % len(choices)])]
            if filled and _append(filled[-1], message):
                continue
            filled.append(producer.create_batch())
            # The first message of a batch is taken whatever its size.
            assert _append(filled[-1], message), "an empty batch takes any message"
        sent = (self._send(producer, partition, filled) for partition, filled in batches.items())
        for failure in await asyncio.gather(*sent, return_exceptions=True):
            if failure is not None:
                raise failure

    async def _send(self, producer: AIOKafkaProducer, partition: Partition, batches: Sequence[Any]) -> None:
        """Send each batch when the one before it is acknowledged, else a broker could take it without that one.

        The client has only one on its way to a partition anyway.
        """
        topic, number = partition
        name = f"{topic}-{number}"
        for batch in batches:
            batch.close()
            metadata = await (await producer.send_batch(batch, topic, partition=number))
            self.published[name] = max(self.published.get(name, 0), metadata.offset + batch.record_count())

    async def _replace(self, failed: AIOKafkaProducer) -> None:
        """Go on with a new producer: after a failure the old one's sequence may have a hole that no broker accepts."""
        async with self._reconnecting:
            if self._producer is not failed:
                return
            self._failed = failed
            task = asyncio.create_task(_let_go(failed))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
            try:
                await self.start()
            except (KafkaError, TimeoutError, OSError) as error:
                # The failed one stays in its place, so that the next attempt comes here again.
                log.warning("producer.not_replaced", error=type(error).__name__)


def _append(batch: Any, message: WireMessage) -> bool:
    added = batch.append(key=message.key, value=message.value, timestamp=None, headers=list(message.headers))
    return added is not None


@lru_cache(maxsize=65_536)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


async def _let_go(producer: AIOKafkaProducer) -> None:
    """Flush and disconnect. What can't be flushed in time is given up, never the end of its task and connections."""
    try:
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        log.warning("producer.not_flushed", error=type(error).__name__)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                # `stop` does nothing the second time.
                if producer._sender is not None:
                    await producer._sender.close()
                await producer.client.close()
        except (KafkaError, TimeoutError) as left:
            log.warning("producer.not_closed", error=type(left).__name__)
