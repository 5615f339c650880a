"""The one idempotent producer of a process: what it was given is acknowledged by all in-sync replicas, or it raises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.errors import Transient
from shared.kafka.records import WireMessage

MESSAGE_BYTES_MAX = 2 * 1024 * 1024


class Publisher:
    """Publishes batches and awaits their acknowledgement; remembers how far it has published, per partition."""

    def __init__(self, *, bootstrap_servers: str, client_id: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self.published: dict[str, int] = {}
        """Next offset after the last record that this process published, by `topic-partition`."""

    async def start(self) -> None:
        """Connect; raises KafkaError while the broker is away."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap_servers,
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=512 * 1024,
            max_request_size=MESSAGE_BYTES_MAX,
            request_timeout_ms=20_000,
            retry_backoff_ms=50,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        self._producer = producer

    async def stop(self) -> None:
        """Flush and disconnect."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await producer.stop()

    async def publish(self, messages: Sequence[WireMessage]) -> None:
        """Publish all of `messages`, in order per key, and wait for every acknowledgement.

        Raises `Transient` when one could not be confirmed; then any of them may or may not be on its topic, so the
        caller publishes all again (readers drop the doubles by their ids).
        """
        if not messages:
            return
        if self._producer is None:
            raise Transient("the producer is not connected")
        try:
            futures = [
                await self._producer.send(m.topic, value=m.value, key=m.key, headers=list(m.headers)) for m in messages
            ]
            for metadata in await asyncio.gather(*futures):
                partition = f"{metadata.topic}-{metadata.partition}"
                self.published[partition] = max(self.published.get(partition, 0), metadata.offset + 1)
        except KafkaError as error:
            raise Transient(f"publishing failed: {type(error).__name__}") from error
