"""The consumer around every handler: decode, dead-letter, one transaction, publish, commit the exact offsets.

A crash at any point replays the batch; the inbox then gives the stored answers again, never fresh ones. What may pass
by itself is retried; what can't be handled goes to the dead letters and its batch goes on; what would lose or double
something stops consumption with the offsets untouched.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_random_exponential

from shared.clock import Clock
from shared.contracts.types import Message
from shared.errors import Fatal, Poison, ReasonCode, Transient
from shared.kafka.dead_letters import dead_letter, is_for_another_group
from shared.kafka.draining import DrainingConsumer
from shared.kafka.publisher import Publisher
from shared.kafka.records import Outgoing, RawRecord, Received, WireMessage, decode, encode
from shared.observability import metrics
from shared.postgres import inbox
from shared.postgres.engine import is_transient

RETRY_SECONDS_MAX: Final = 60.0
"""A batch is retried this long, then taken from the start again; stays below the group's poll interval."""
FUSE_RECORDS: Final = 100
"""So many dead letters in a row pause a partition: something is wrong with the sender, not with records."""

Handler = Callable[[AsyncConnection, Sequence[Received[Any]]], Awaitable[Sequence[Outgoing]]]
Partition = tuple[str, int]
log = structlog.get_logger()


class PoisonRecord(Poison):
    """Raised by a handler for one record of its batch; the others are handled again without it."""

    def __init__(self, received: Received[Any], reason: ReasonCode, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.received = received


@dataclass(slots=True)
class ConsumerState:
    """What health checks and the simulation read; written by the consumer alone."""

    batch_since: float | None = None
    """Monotonic seconds at which the batch in work began."""
    transient: str | None = None
    fatal: str | None = None
    fused: set[Partition] = field(default_factory=set)
    consumed: dict[str, int] = field(default_factory=dict)
    """Next offset after the last record done with, by `topic-partition`."""


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """Runs the handlers of one service over raw batches. `topics` are in order of priority."""

    def __init__(
        self, *, group: str, topics: Sequence[str], engine: AsyncEngine, publisher: Publisher, clock: Clock
    ) -> None:
        self.group = group
        self.topics = tuple(topics)
        self.state = ConsumerState()
        self._priority = {topic: index for index, topic in enumerate(topics)}
        self._engine = engine
        self._publisher = publisher
        self._clock = clock
        self._handlers: list[tuple[frozenset[type[Message]], Handler]] = []
        self._after_batch: list[Callable[[], None]] = []
        self._expected: dict[Partition, int | None] = {}
        self._poison_run: dict[Partition, int] = defaultdict(int)
        self._batch_lock = asyncio.Lock()

    @property
    def message_types(self) -> frozenset[type[Message]]:
        """Every type that some handler takes."""
        return frozenset().union(*(types for types, _ in self._handlers))

    def handles(self, *message_types: type[Message]) -> Callable[[Handler], Handler]:
        """Register a handler for `message_types`; handlers run in the order of registration."""

        def register(handler: Handler) -> Handler:
            self._handlers.append((frozenset(message_types), handler))
            return handler

        return register

    def after_batch(self, hook: Callable[[], None]) -> None:
        """Call `hook` after each batch that changed something, once its transaction is committed."""
        self._after_batch.append(hook)

    async def on_batch(self, records: Sequence[RawRecord], consumer: DrainingConsumer) -> None:
        """Take one polled batch through to its committed offsets, or leave it to be polled again."""
        async with self._batch_lock:
            if self.state.fatal is not None:
                return
            self.state.batch_since = time.monotonic()
            try:
                await self._check_gaps(records, consumer)
                await self._with_retries(records)
                await self._commit(records, consumer)
            except Fatal as error:
                self._stop_for_good(error, consumer)
            except Exception as error:  # edge of the consume loop: nothing may be skipped, so take the batch again
                log.warning("batch.taken_again", group=self.group, error=type(error).__name__)
                self._rewind(records, consumer)
                await asyncio.sleep(1)
            finally:
                self.state.batch_since = None

    async def _with_retries(self, records: Sequence[RawRecord]) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(multiplier=0.05, max=3),
            stop=stop_after_delay(RETRY_SECONDS_MAX),
            before_sleep=self._note_transient,
            reraise=True,
        )
        decoded, letters = self._decode(records)
        async for attempt in retrying:
            with attempt:
                answers, refused = await self._apply(decoded, _next_offsets(records))
                await self._publisher.publish([*answers, *letters, *refused])
        self.state.transient = None
        metrics.RECORDS.labels(self.group, "dead_lettered").inc(len(letters) + len(refused))
        metrics.RECORDS.labels(self.group, "handled").inc(len(decoded) - len(refused))
        for hook in self._after_batch:
            hook()

    def _note_transient(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.state.transient = type(error).__name__
        log.warning("batch.retried", group=self.group, error=self.state.transient, attempt=state.attempt_number)

    def _decode(self, records: Sequence[RawRecord]) -> tuple[list[Received[Message]], list[WireMessage]]:
        now = self._clock.now()
        known, decoded, letters = self.message_types, [], []
        for record in sorted(records, key=lambda r: self._priority[r.topic]):
            partition = (record.topic, record.partition)
            if is_for_another_group(record.headers, self.group):
                continue
            try:
                received = decode(record, now=now)
            except Poison as poison:
                letters.append(self._dead_letter(record, poison))
                if poison.reason not in ("unknown_event_type", "unsupported_version"):
                    self._poison_run[partition] += 1
            else:
                self._poison_run[partition] = 0
                if type(received.message) in known:
                    decoded.append(received)
        self._raws = {(r.topic, r.partition, r.offset): r for r in records}
        return decoded, letters

    def _dead_letter(self, record: RawRecord, poison: Poison) -> WireMessage:
        metrics.DEAD_LETTERS.labels(self.group, record.topic, poison.reason).inc()
        log.warning(
            "record.dead_lettered",
            group=self.group,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=poison.reason,
        )
        return dead_letter(record, poison=poison, group=self.group, at=self._clock.now())

    async def _apply(
        self, records: Sequence[Received[Message]], offsets: dict[Partition, int]
    ) -> tuple[list[WireMessage], list[WireMessage]]:
        """Apply `records` in one transaction; the answers to publish, and dead letters for those it can't take."""
        remaining, refused = list(records), []
        while True:
            try:
                answers, impostors = await self._transaction(remaining, offsets)
            except PoisonRecord as poison:
                remaining = [r for r in remaining if r is not poison.received]
                refused.append(self._refuse(poison.received, poison))
            except (Transient, Fatal):
                raise
            except Exception as error:
                if is_transient(error):
                    raise
                if len(remaining) > 1:
                    return await self._one_by_one(remaining, offsets, refused)
                log.error("record.handler_error", group=self.group, error=type(error).__name__, exc_info=error)
                refused.append(self._refuse(remaining[0], Poison("handler_error", type(error).__name__)))
                remaining = []
            else:
                reuse = Poison("id_reused_with_other_body")
                return answers, [*refused, *(self._refuse(r, reuse) for r in impostors)]

    async def _one_by_one(
        self, records: Sequence[Received[Message]], offsets: dict[Partition, int], refused: list[WireMessage]
    ) -> tuple[list[WireMessage], list[WireMessage]]:
        answers: list[WireMessage] = []
        for record in records:
            answered, more_refused = await self._apply([record], {})
            answers.extend(answered)
            refused.extend(more_refused)
        async with self._engine.begin() as tx:
            await inbox.record_offsets(tx, offsets)
        return answers, refused

    def _refuse(self, received: Received[Message], poison: Poison) -> WireMessage:
        return self._dead_letter(self._raws[(received.topic, received.partition, received.offset)], poison)

    async def _transaction(
        self, records: Sequence[Received[Message]], offsets: dict[Partition, int]
    ) -> tuple[list[WireMessage], tuple[Received[Message], ...]]:
        async with self._engine.begin() as tx:
            admission = await inbox.admit(tx, records)
            answers: dict[inbox.Key, list[WireMessage]] = defaultdict(list)
            for types, handler in self._handlers:
                batch = [r for r in admission.new if type(r.message) in types]
                for outgoing in await handler(tx, batch) if batch else ():
                    assert outgoing.cause is not None, "a handler's message names the record that it answers"
                    answers[outgoing.cause.key].append(encode(outgoing, source=f"decorum/{self.group}"))
            await inbox.record(tx, admission.new, answers)
            await inbox.record_offsets(tx, offsets)
        fresh = [message for messages in answers.values() for message in messages]
        return [*admission.replayed, *fresh], admission.impostors

    async def _check_gaps(self, records: Sequence[RawRecord], consumer: DrainingConsumer) -> None:
        """Raise `Fatal` where the log begins behind the offset that was to be read next: records were lost."""
        for (topic, partition), offset in _first_offsets(records).items():
            tp = TopicPartition(topic, partition)
            if (topic, partition) not in self._expected:
                self._expected[(topic, partition)] = await consumer.committed(tp)
            expected = self._expected[(topic, partition)]
            if expected is not None and offset > expected:
                beginning = (await consumer.beginning_offsets([tp]))[tp]
                if beginning > expected:
                    raise Fatal(f"offset_gap: {topic}-{partition} was to go on at {expected}, begins at {beginning}")

    async def _commit(self, records: Sequence[RawRecord], consumer: DrainingConsumer) -> None:
        offsets = _next_offsets(records)
        assigned = consumer.assignment()
        ours = {TopicPartition(*partition): offset for partition, offset in offsets.items()}
        kept = {tp: offset for tp, offset in ours.items() if tp in assigned}
        try:
            if kept:
                await consumer.commit(kept)
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            # The partition's next owner replays the batch, and its inbox answers with what is stored.
            log.warning("offsets.not_committed", group=self.group, error=type(error).__name__)
        for partition, offset in offsets.items():
            self._expected[partition] = offset
            self.state.consumed[f"{partition[0]}-{partition[1]}"] = offset
            if self._poison_run[partition] >= FUSE_RECORDS and TopicPartition(*partition) in assigned:
                consumer.pause(TopicPartition(*partition))
                self.state.fused.add(partition)
                log.error("partition.fused", group=self.group, topic=partition[0], partition=partition[1])

    def _rewind(self, records: Sequence[RawRecord], consumer: DrainingConsumer) -> None:
        assigned = consumer.assignment()
        for partition, offset in _first_offsets(records).items():
            if TopicPartition(*partition) in assigned:
                consumer.seek(TopicPartition(*partition), offset)

    def _stop_for_good(self, error: Fatal, consumer: DrainingConsumer) -> None:
        self.state.fatal = str(error)
        consumer.pause(*consumer.assignment())
        log.critical("consumer.stopped", group=self.group, reason=str(error))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Let the batch in hand commit before its partitions go to somebody else (bounded)."""
        try:
            async with asyncio.timeout(5):
                async with self._batch_lock:
                    pass
        except TimeoutError:
            log.warning("rebalance.batch_still_running", group=self.group)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Forget what was expected of partitions that may have been read elsewhere meanwhile."""
        self._expected.clear()
        self.state.fused = {p for p in self.state.fused if TopicPartition(*p) in assigned}


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, Transient) or is_transient(error)


def _next_offsets(records: Sequence[RawRecord]) -> dict[Partition, int]:
    offsets: dict[Partition, int] = {}
    for record in records:
        partition = (record.topic, record.partition)
        offsets[partition] = max(offsets.get(partition, 0), record.offset + 1)
    return offsets


def _first_offsets(records: Sequence[RawRecord]) -> dict[Partition, int]:
    offsets: dict[Partition, int] = {}
    for record in records:
        offsets.setdefault((record.topic, record.partition), record.offset)
    return offsets
