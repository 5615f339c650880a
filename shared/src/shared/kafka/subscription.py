"""The one place where FastStream's broker and subscriber are made, with every option that matters set explicitly.

FastStream's defaults commit before the handler runs, decode every header, create topics and read uncommitted records;
a batch whose headers can't be decoded would be dropped. So records are taken raw and all offsets are ours to commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, Final, cast

from aiokafka import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.kafka.draining import DrainingConsumer

BATCH_RECORDS_MAX: Final = 1_000
SESSION_TIMEOUT_MS: Final = 6_000
POLL_INTERVAL_MS_MAX: Final = 300_000
"""Longer than a batch may be retried (`RETRY_SECONDS_MAX` of the consumer)."""
DRAIN_TIMEOUT_SECONDS: Final = 20.0

OnBatch = Callable[[Sequence[Any], DrainingConsumer], Awaitable[None]]


class Subscription:
    """A FastStream broker with one raw batch subscriber over all topics of a service."""

    def __init__(
        self,
        *,
        bootstrap_servers: str,
        client_id: str,
        group: str,
        topics: Sequence[str],
        last_topics: Collection[str],
        on_batch: OnBatch,
        listener: ConsumerRebalanceListener,
        pace_seconds: float = 0.0,
    ) -> None:
        self._last_topics = frozenset(last_topics)
        self._pace_seconds = pace_seconds
        self.broker = KafkaBroker(
            bootstrap_servers.split(","),  # FastStream takes a text for the address of one broker
            client_id=client_id,
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=DRAIN_TIMEOUT_SECONDS,
            request_timeout_ms=40_000,
            retry_backoff_ms=100,
            metadata_max_age_ms=30_000,
            apply_types=False,
            logger=None,
        )
        self._subscriber = self.broker.subscriber(
            *topics,
            batch=True,
            group_id=group,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=1_000,
            max_poll_interval_ms=POLL_INTERVAL_MS_MAX,
            fetch_max_wait_ms=250,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            max_records=BATCH_RECORDS_MAX,
            batch_timeout_ms=1,
            check_crcs=True,
            listener=listener,
            parser=self._parse,
            decoder=self._decode,
            no_reply=True,
        )

        @self._subscriber
        async def consume(records: Sequence[Any]) -> None:
            consumer = self.consumer
            if consumer is not None:
                await on_batch(records, consumer)

    @property
    def consumer(self) -> DrainingConsumer | None:
        """The consumer behind the subscriber, once it is started."""
        consumer = self._subscriber.consumer
        return consumer if isinstance(consumer, DrainingConsumer) else None

    async def start(self) -> None:
        """Connect and consume; raises KafkaError while the broker is away."""
        await self.broker.connect()
        config = self.broker.config.broker_config
        options = cast("partial[Any]", config.builder).keywords
        config.builder = partial(
            DrainingConsumer, last_topics=self._last_topics, pace_seconds=self._pace_seconds, **options
        )
        try:
            await self.broker.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Finish the batch in hand, then leave the group."""
        await self.broker.stop()

    @staticmethod
    async def _parse(records: tuple[Any, ...]) -> KafkaMessage:
        return KafkaMessage(body=b"", raw_message=records, headers={}, consumer=_NoConsumer())

    @staticmethod
    async def _decode(message: KafkaMessage) -> Sequence[Any]:
        return cast("Sequence[Any]", message.raw_message)


class _NoConsumer:
    """FastStream's message wants a consumer; acknowledging goes through ours alone."""

    async def commit(self) -> None:
        raise AssertionError("offsets are committed by shared.kafka.consumer")

    def seek(self, partition: Any, offset: int) -> None:
        raise AssertionError("offsets are moved by shared.kafka.consumer")
