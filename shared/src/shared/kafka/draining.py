"""An aiokafka consumer that drains fact topics first and shows its own progress."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

POLL_TIMEOUT_MS: Final = 250
"""How long an idle poll waits; a record that arrives ends the wait at once."""

Batch = dict[TopicPartition, list[ConsumerRecord[Any, Any]]]


class DrainingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka publishes no types
    """Gives records of `last_topics` only when every other assigned partition is read to its end.

    `polled_at` (monotonic seconds) moves with each poll: the liveness of the consume loop itself.
    """

    def __init__(self, *args: Any, last_topics: Collection[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._last_topics = frozenset(last_topics)
        self._behind_since: dict[TopicPartition, float] = {}
        self.polled_at = time.monotonic()

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None) -> Batch:
        """One poll, facts first. The caller's `timeout_ms` is replaced by `POLL_TIMEOUT_MS`."""
        self.polled_at = time.monotonic()
        poll: Callable[..., Awaitable[Batch]] = super().getmany
        facts = [tp for tp in self.assignment() if tp.topic not in self._last_topics]
        if not self._last_topics or not facts:
            return await poll(timeout_ms=POLL_TIMEOUT_MS, max_records=max_records)
        records = await poll(*facts, timeout_ms=0, max_records=max_records)
        if records:
            return records
        if await self.behind(facts):
            return await poll(*facts, timeout_ms=POLL_TIMEOUT_MS, max_records=max_records)
        return await poll(timeout_ms=POLL_TIMEOUT_MS, max_records=max_records)

    async def behind(self, partitions: Collection[TopicPartition]) -> bool:
        """Whether one of `partitions` has records that were not polled yet, as far as the last fetch knew."""
        now = time.monotonic()
        behind = False
        for tp in partitions:
            highwater = self.highwater(tp)
            if highwater is not None and highwater > await self.position(tp):
                self._behind_since.setdefault(tp, now)
                behind = True
            else:
                self._behind_since.pop(tp, None)
        return behind

    def facts_lag_seconds(self) -> float:
        """For how long the fact partition that is behind the longest has been behind."""
        now = time.monotonic()
        assigned = self.assignment()
        return max((now - since for tp, since in self._behind_since.items() if tp in assigned), default=0.0)
