"""`Work` on a test's database, without Kafka: what is published stays in the outbox, and in a list."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.kafka.publisher import Publisher
from shared.kafka.records import Outgoing
from shared.postgres.outbox import Outbox
from shared.postgres.work import OutboxWork


class KeptWork(OutboxWork):
    """`published` has what was given to the outbox, in order; `wakes` how often the relay was woken."""

    def __init__(self, engine: AsyncEngine, *, service: str) -> None:
        publisher = Publisher(bootstrap_servers="127.0.0.1:1", client_id="never-started")
        outbox = Outbox(source=f"decorum/{service}", engine=engine, publisher=publisher)
        super().__init__(engine, outbox, on_published=self._woken)
        self.published: list[Outgoing] = []
        self.wakes = 0

    async def publish(self, tx: AsyncConnection, messages: Sequence[Outgoing]) -> None:
        await super().publish(tx, messages)
        self.published.extend(messages)

    def _woken(self) -> None:
        self.wakes += 1
