"""The consumer around every handler: decode, dead-letter, one transaction, publish, commit the exact offsets.

A crash at any point replays the batch; the inbox then gives the stored answers again, never fresh ones. What may pass
by itself is retried; what can't be handled goes to the dead letters and its batch goes on; what would lose or double
something stops consumption with the offsets untouched.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_random_exponential

from shared.cancellation import is_order_to_end
from shared.clock import Clock
from shared.contracts.types import Message
from shared.errors import Fatal, Poison, ReasonCode, Transient
from shared.kafka.batches import Batch, Refused, open_batch
from shared.kafka.dead_letters import dead_letter
from shared.kafka.draining import DrainingConsumer
from shared.kafka.fuse import Fuse, Partition
from shared.kafka.publisher import Publisher
from shared.kafka.records import Outgoing, RawRecord, Received, WireMessage, encode
from shared.observability import metrics
from shared.postgres import inbox
from shared.postgres.engine import is_transient

RETRY_SECONDS_MAX: Final = 60.0
"""A batch is retried this long, then taken from the start again; stays below the group's poll interval."""
REFUSALS_MAX: Final = 4
"""So many records a handler may refuse one by one; then the batch is halved, or a bad one would cost its square."""
REBALANCE_WAIT_SECONDS: Final = 5.0
LOOK_UP_SECONDS_MAX: Final = 10.0
"""How long asking the broker for an offset may take; then the batch is taken again, which also says so."""

Handler = Callable[[AsyncConnection, Sequence[Received[Any]]], Awaitable[Sequence[Outgoing]]]
Answers = tuple[list[WireMessage], list[Refused]]
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
        self._after_batch: list[tuple[frozenset[type[Message]], Callable[[], None]]] = []
        self._expected: dict[Partition, int | None] = {}
        self._fuse = Fuse()
        self._batch_lock = asyncio.Lock()
        self._connection: DrainingConsumer | None = None

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

    def after_batch(self, hook: Callable[[], None], *, of: Collection[type[Message]]) -> None:
        """Call `hook` after each batch with a message of these types, once its transaction is committed."""
        self._after_batch.append((frozenset(of), hook))

    async def on_batch(self, records: Sequence[RawRecord], consumer: DrainingConsumer) -> None:
        """Take one polled batch through to the commit of its offsets, or leave it to be polled again."""
        async with self._batch_lock:
            if self.state.fatal is not None:
                return
            self._connection = consumer
            self.state.batch_since = time.monotonic()
            try:
                await self._check_gaps(records, consumer)
                batch = self._open(records)
                await self._with_retries(batch)
                self._done(batch, consumer)
            except Fatal as error:
                self._stop_for_good(error, consumer)
            except (Exception, asyncio.CancelledError) as error:
                # Edge of the consume loop: nothing may be skipped, so the batch is taken again.
                if is_order_to_end(error):
                    raise
                log.warning("batch.taken_again", group=self.group, error=type(error).__name__, exc_info=error)
                self.state.transient = type(error).__name__
                self._rewind(_first_offsets(records), consumer)
                await asyncio.sleep(1)
            finally:
                self.state.batch_since = None

    def _open(self, records: Sequence[RawRecord]) -> Batch:
        return open_batch(
            records,
            group=self.group,
            known=self.message_types,
            priority=self._priority,
            fuse=self._fuse,
            now=self._clock.now(),
        )

    async def _with_retries(self, batch: Batch) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(multiplier=0.05, max=3),
            stop=stop_after_delay(RETRY_SECONDS_MAX),
            before_sleep=self._note_transient,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                answers, refused = await self._apply(batch.decoded, batch, batch.next_offsets)
                refused = [*batch.refused, *refused]
                await self._publisher.publish([*answers, *(self._dead_letter(each) for each in refused)])
        self.state.transient = None
        self._fuse = batch.fuse_after(refused)
        self._count(batch, refused)
        seen = {type(received.message) for received in batch.decoded}
        for types, hook in self._after_batch:
            if not types.isdisjoint(seen):
                hook()

    def _note_transient(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.state.transient = type(error).__name__
        log.warning("batch.retried", group=self.group, error=self.state.transient, attempt=state.attempt_number)

    def _dead_letter(self, refused: Refused) -> WireMessage:
        return dead_letter(refused.record, poison=refused.poison, group=self.group, at=self._clock.now())

    def _count(self, batch: Batch, refused: Sequence[Refused]) -> None:
        metrics.RECORDS.labels(self.group, "dead_lettered").inc(len(refused))
        metrics.RECORDS.labels(self.group, "handled").inc(len(batch.records) - len(refused))
        for each in refused:
            record, reason = each.record, each.poison.reason
            metrics.DEAD_LETTERS.labels(self.group, record.topic, reason).inc()
            log.warning(
                "record.dead_lettered",
                group=self.group,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                reason=reason,
                detail=each.poison.detail,
            )

    async def _apply(
        self, records: Sequence[Received[Message]], batch: Batch, offsets: Mapping[Partition, int]
    ) -> Answers:
        """Apply `records` in one transaction; the answers to publish, and what no handler can take."""
        remaining, refused = list(records), list[Refused]()
        for _ in range(REFUSALS_MAX):
            try:
                answers, impostors = await self._transaction(remaining, offsets)
            except PoisonRecord as poison:
                kept = [r for r in remaining if r is not poison.received]
                assert len(kept) < len(remaining), "a handler refuses records of its own batch"
                remaining = kept
                refused.append(batch.refuse(poison.received, Poison(poison.reason, poison.detail)))
            except (Transient, Fatal):
                raise
            except Exception as error:
                if is_transient(error) or not remaining:
                    raise
                if len(remaining) > 1:
                    break
                log.error("record.handler_error", group=self.group, error=type(error).__name__, exc_info=error)
                refused.append(batch.refuse(remaining[0], Poison("handler_error", type(error).__name__)))
                remaining = []
            else:
                reuse = Poison("id_reused_with_other_body")
                return answers, [*refused, *(batch.refuse(r, reuse) for r in impostors)]
        return await self._halves(remaining, batch, offsets, refused)

    async def _halves(
        self,
        records: Sequence[Received[Message]],
        batch: Batch,
        offsets: Mapping[Partition, int],
        refused: Sequence[Refused],
    ) -> Answers:
        """Apply `records` in two transactions, in order: who is to blame is found in a few steps."""
        middle = max(1, len(records) // 2)
        answers, all_refused = list[WireMessage](), list(refused)
        # The offsets go with the second half: only when it is through is the batch.
        for half, reached in ((records[:middle], {}), (records[middle:], offsets)):
            half_answers, half_refused = await self._apply(half, batch, reached)
            answers += half_answers
            all_refused += half_refused
        return answers, all_refused

    async def _transaction(
        self, records: Sequence[Received[Message]], offsets: Mapping[Partition, int]
    ) -> tuple[list[WireMessage], tuple[Received[Message], ...]]:
        if not records and not offsets:
            return [], ()
        async with self._engine.begin() as tx:
            admission = await inbox.admit(tx, records)
            answers: dict[inbox.Key, list[WireMessage]] = defaultdict(list)
            for types, handler in self._handlers:
                taken = [r for r in admission.new if type(r.message) in types]
                for outgoing in await handler(tx, taken) if taken else ():
                    assert outgoing.cause is not None, "a handler's message names the record that it answers"
                    answers[outgoing.cause.key].append(encode(outgoing, source=f"decorum/{self.group}"))
            await inbox.record(tx, admission.new, answers, offsets)
        fresh = [message for messages in answers.values() for message in messages]
        return [*admission.replayed, *fresh], admission.impostors

    async def _check_gaps(self, records: Sequence[RawRecord], consumer: DrainingConsumer) -> None:
        """Raise `Fatal` where the log begins behind the offset that was to be read next: records were lost."""
        for (topic, partition), offset in _first_offsets(records).items():
            tp = TopicPartition(topic, partition)
            if (topic, partition) not in self._expected:
                async with asyncio.timeout(LOOK_UP_SECONDS_MAX):
                    self._expected[(topic, partition)] = await consumer.committed(tp)
            expected = self._expected[(topic, partition)]
            if expected is not None and offset > expected:
                async with asyncio.timeout(LOOK_UP_SECONDS_MAX):
                    beginning = (await consumer.beginning_offsets([tp]))[tp]
                if beginning > expected:
                    raise Fatal(f"offset_gap: {topic}-{partition} was to go on at {expected}, begins at {beginning}")

    def _done(self, batch: Batch, consumer: DrainingConsumer) -> None:
        """Everything is stored and acknowledged: let the offsets be committed, and the fuse speak."""
        offsets = {TopicPartition(*partition): offset for partition, offset in batch.next_offsets.items()}
        consumer.commit_soon(offsets)
        for partition, offset in batch.next_offsets.items():
            self._expected[partition] = offset
            self.state.consumed[f"{partition[0]}-{partition[1]}"] = offset
            if self._fuse.blown(partition):
                self._rewind({partition: offset}, consumer)
                self._pause({partition}, consumer)
                log.error("partition.fused", group=self.group, topic=partition[0], partition=partition[1])

    def _pause(self, partitions: Collection[Partition], consumer: DrainingConsumer) -> None:
        assigned = consumer.assignment()
        ours = {partition for partition in partitions if TopicPartition(*partition) in assigned}
        if ours:
            consumer.pause(*(TopicPartition(*partition) for partition in ours))
        self.state.fused |= ours

    def _rewind(self, offsets: Mapping[Partition, int], consumer: DrainingConsumer) -> None:
        assigned = consumer.assignment()
        for partition, offset in offsets.items():
            if TopicPartition(*partition) in assigned:
                consumer.seek(TopicPartition(*partition), offset)

    def _stop_for_good(self, error: Fatal, consumer: DrainingConsumer) -> None:
        self.state.fatal = str(error)
        if consumer.assignment():
            consumer.pause(*consumer.assignment())
        log.critical("consumer.stopped", group=self.group, reason=str(error))

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Let the batch in hand commit before its partitions go to somebody else (bounded)."""
        try:
            async with asyncio.timeout(REBALANCE_WAIT_SECONDS):
                async with self._batch_lock:
                    if self._connection is not None:
                        await self._connection.commits_settled()
        except TimeoutError:
            log.warning("rebalance.batch_still_running", group=self.group)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Forget what was expected of partitions that others may have read; keep the fuses of those that stay.

        A blown fuse pauses its partition again: records of one that was blown and not paused would be passed over.
        """
        self._expected.clear()
        ours = {(tp.topic, tp.partition) for tp in assigned}
        self._fuse, self.state.fused = self._fuse.only(ours), set()
        blown = {partition for partition in ours if self._fuse.blown(partition)}
        if blown and self._connection is not None:
            self._pause(blown, self._connection)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, Transient) or is_transient(error)


def _first_offsets(records: Sequence[RawRecord]) -> dict[Partition, int]:
    offsets: dict[Partition, int] = {}
    for record in records:
        offsets.setdefault((record.topic, record.partition), record.offset)
    return offsets
