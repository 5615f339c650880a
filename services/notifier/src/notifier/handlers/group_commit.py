"""Many concurrent requests, one transaction: each waits until what it brought is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from shared.postgres.engine import is_transient

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
ITEMS_MAX: Final = 500
WAITING_MAX: Final = 20_000


class TooManyWaiting(Exception):
    """The database can't keep up; the sender has to come again."""


class GroupCommit(Generic[Item, Outcome]):
    """Collects what arrives while a transaction runs and gives it to `apply` as the next batch.

    `apply` commits and returns one outcome for each item, in order. When a batch fails for another reason than an
    absent database, its items are tried one by one, so that one of them can't take the others down.
    """

    def __init__(self, apply: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]]) -> None:
        self._apply = apply
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Outcome:
        """The outcome of `item` once it is stored; raises what its transaction raised."""
        if len(self._waiting) >= WAITING_MAX:
            raise TooManyWaiting
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:ITEMS_MAX], self._waiting[ITEMS_MAX:]
                await self._take(batch)
        finally:
            self._running = None

    async def _take(self, batch: Sequence[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self._apply([item for item, _ in batch])
        except Exception as error:  # edge: every waiting request gets an answer
            if len(batch) > 1 and not is_transient(error):
                for one in batch:
                    await self._take([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
