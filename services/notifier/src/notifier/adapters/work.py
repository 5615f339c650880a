"""`Work` on a service's engine and outbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.ports import Tx
from shared.kafka.records import Outgoing
from shared.postgres.outbox import Outbox


class OutboxWork:
    """Transactions with an outbox; `wake_outbox` starts the relay once something was committed."""

    def __init__(self, *, engine: AsyncEngine, outbox: Outbox, wake_outbox: Callable[[], None]) -> None:
        self._engine = engine
        self._outbox = outbox
        self._wake_outbox = wake_outbox

    def begin(self) -> AbstractAsyncContextManager[Tx]:
        return self._engine.begin()

    async def publish(self, tx: Tx, messages: Sequence[Outgoing]) -> None:
        if messages:
            await self._outbox.add(tx, messages)

    def committed(self, published: int) -> None:
        if published:
            self._wake_outbox()
