"""Transactions that a service's own code begins: loops, and requests that come in from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.kafka.records import Outgoing
from shared.postgres.outbox import Outbox


class Work(Protocol):
    """Transactions, and the outbox inside them."""

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction: committed at the end of the block, rolled back by an exception."""
        ...

    async def publish(self, tx: AsyncConnection, messages: Sequence[Outgoing]) -> None:
        """Write messages to the outbox in a transaction of `begin`; its commit sends them on their way."""
        ...


class OutboxWork:
    """`Work` on a service's database; `on_published` wakes the relay after a commit that it has something to do for."""

    def __init__(self, engine: AsyncEngine, outbox: Outbox, *, on_published: Callable[[], None]) -> None:
        self._engine = engine
        self._outbox = outbox
        self._on_published = on_published
        self._publishing: set[AsyncConnection] = set()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as tx:
            try:
                async with tx.begin():
                    yield tx
                if tx in self._publishing:
                    self._on_published()
            finally:
                self._publishing.discard(tx)

    async def publish(self, tx: AsyncConnection, messages: Sequence[Outgoing]) -> None:
        if messages:
            await self._outbox.add(tx, messages)
            self._publishing.add(tx)
