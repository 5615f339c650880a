"""An aiokafka consumer that drains fact topics first and shows its own progress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError

from shared.cancellation import is_order_to_end
from shared.kafka import broken_connections, forgiving
from shared.loops import wait_at_most

forgiving.install()
broken_connections.install()

POLL_TIMEOUT_MS: Final = 250
"""How long an idle poll waits; a record that arrives ends the wait at once."""
COMMIT_PAUSE_SECONDS: Final = 0.5
"""How long offsets gather before they are committed: a crash replays that much, and the inbox knows it all."""
COMMIT_TIMEOUT_SECONDS: Final = 5.0
"""How long leaving waits for the last commit; part of the service's drain."""
log = structlog.get_logger()

Batch = dict[TopicPartition, list[ConsumerRecord[Any, Any]]]


class DrainingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka publishes no types
    """Gives records of `last_topics` only when every other partition is read up to where it ended at that moment.

    The ends are those of the moment at which draining began, so that a steady stream of facts holds nothing up for
    ever. A paused fact partition holds nothing up either, it only counts as lag. `polled_at` (monotonic seconds) moves
    with each poll: the liveness of the consume loop itself.
    """

    def __init__(self, *args: Any, last_topics: Collection[str], pace_seconds: float = 0.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pace_seconds = pace_seconds
        self._last_records = 0
        self._last_topics = frozenset(last_topics)
        self._draining_to: dict[TopicPartition, int | None] | None = None
        self._behind: dict[TopicPartition, tuple[int | None, float]] = {}
        self._to_commit: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._settle = asyncio.Event()
        self.polled_at = time.monotonic()
        self.failing: str | None = None
        """Why the last poll gave nothing: the kind of error, for /readyz."""

    @property
    def is_beyond_help(self) -> bool:
        """Whether a task of the client that nothing starts again has ended: no poll will ever give a record."""
        tasks = (self._client._sync_task, getattr(self._coordinator, "_coordination_task", None))
        return not self._closed and any(task is not None and task.done() for task in tasks)

    async def stop(self) -> None:
        """Commit what waits for it, bounded, then leave the group."""
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_SECONDS):
                await self.commits_settled()
        except TimeoutError:
            log.warning("offsets.not_committed", error="TimeoutError")
        if self._committing is not None:
            self._committing.cancel()
        await super().stop()

    def commit_soon(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit exactly `offsets` while next batches are in work: the newest, once in `COMMIT_PAUSE_SECONDS`.

        A commit that fails or comes late costs a replay, never a record.
        """
        self._to_commit.update(offsets)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_all())

    async def commits_settled(self) -> None:
        """Commit at once what waits for it, and wait until nothing does."""
        if self._committing is not None:
            self._settle.set()
            try:
                await asyncio.wait([self._committing])
            finally:
                self._settle.clear()

    async def _commit_all(self) -> None:
        while self._to_commit:
            await wait_at_most(self._settle, COMMIT_PAUSE_SECONDS)
            waiting, self._to_commit = self._to_commit, {}
            assigned = self.assignment()
            ours = {tp: offset for tp, offset in waiting.items() if tp in assigned}
            try:
                if ours:
                    await self.commit(ours)
            except (KafkaError, IllegalStateError) as error:
                # The partition's next owner replays, and its inbox answers with what is stored.
                log.warning("offsets.not_committed", error=type(error).__name__)

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None) -> Batch:
        """One poll, facts first. The caller's `timeout_ms` is replaced by `POLL_TIMEOUT_MS`.

        While records flow, polls begin no more often than once in `pace_seconds`: a transaction costs the same for one
        record as for a hundred.
        """
        if 0 < self._last_records < (max_records or 0):
            await asyncio.sleep(self.polled_at + self._pace_seconds - time.monotonic())
        self.polled_at = time.monotonic()
        try:
            batch = await self._poll(max_records)
        except (KafkaError, ConsumerStoppedError) as error:
            self.failing = type(error).__name__
            raise  # FastStream polls again after a pause, or ends
        except (Exception, asyncio.CancelledError) as error:
            # Edge of the consume loop: FastStream's would end with a stray cancellation, silently and for good.
            if is_order_to_end(error):
                raise
            self.failing = type(error).__name__
            log.warning("poll.failed", error=self.failing, exc_info=error)
            await asyncio.sleep(POLL_TIMEOUT_MS / 1000)
            return {}
        self._last_records = sum(map(len, batch.values()))
        self.failing = None
        return batch

    async def _poll(self, max_records: int | None) -> Batch:
        poll: Callable[..., Awaitable[Batch]] = super().getmany
        facts = self._facts()
        if facts and self._last_topics and not await self._drained(facts):
            facts = self._facts()  # partitions may have changed hands meanwhile
            return await poll(*facts, timeout_ms=POLL_TIMEOUT_MS, max_records=max_records) if facts else {}
        return await poll(timeout_ms=POLL_TIMEOUT_MS, max_records=max_records)

    def facts_lag_seconds(self) -> float:
        """For how many whole seconds some fact partition may have had records that were not polled; 0 when idle.

        Counts since an end was seen that isn't reached yet, since a partition was paused, and since a broker last
        told where a partition ends, whichever is the longest ago.
        """
        now, now_ms = time.monotonic(), time.time() * 1000
        lag = 0.0
        for tp in self._facts():
            told_at = self.last_poll_timestamp(tp)
            behind = self._behind.get(tp)
            lag = max(lag, now - behind[1] if behind else 0.0, (now_ms - told_at) / 1000 if told_at else 0.0)
        return float(int(lag))

    def _facts(self) -> list[TopicPartition]:
        return [tp for tp in self.assignment() if tp.topic not in self._last_topics]

    def _end(self, tp: TopicPartition) -> int | None:
        """The offset after the last record that can be read now; records of open transactions can't."""
        stable: int | None = self.last_stable_offset(tp)
        highwater: int | None = self.highwater(tp)
        return highwater if stable is None or stable < 0 else stable

    async def _drained(self, facts: Collection[TopicPartition]) -> bool:
        try:
            async with asyncio.timeout(POLL_TIMEOUT_MS / 1000):
                positions = {tp: await self.position(tp) for tp in facts if self._end(tp) is not None}
        except (TimeoutError, IllegalStateError, AssertionError):
            return False  # positions are being looked up, or partitions are changing hands: ask again at the next poll
        if not self.assignment().issuperset(facts):
            return False  # they changed hands while their positions were looked up
        paused = self.paused()
        self._note_lag(facts, positions, paused)
        if self._draining_to is None:
            self._draining_to = {tp: self._end(tp) for tp in facts}
        for tp in facts:
            end = self._draining_to.get(tp)
            end = self._end(tp) if end is None else end
            if tp not in paused and (end is None or positions.get(tp, -1) < end):
                return False
        self._draining_to = None
        return True

    def _note_lag(
        self, facts: Collection[TopicPartition], positions: dict[TopicPartition, int], paused: Collection[Any]
    ) -> None:
        now = time.monotonic()
        self._behind = {tp: mark for tp, mark in self._behind.items() if tp in facts}
        for tp in facts:
            end, position = self._end(tp), positions.get(tp)
            seen = self._behind.get(tp)
            reached = position is not None and seen is not None and seen[0] is not None and position >= seen[0]
            if tp in paused or end is None or position is None:
                self._behind.setdefault(tp, (None, now))
            elif position >= end:
                self._behind.pop(tp, None)
            elif seen is None or reached or seen[0] is None:
                self._behind[tp] = (end, now)
