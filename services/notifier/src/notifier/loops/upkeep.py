"""Permits that nobody will use, receipts that came too early, deliveries that are too old to be replayed."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from notifier.handlers.desk import Desk
from notifier.handlers.outgoing import ends_of_permits
from notifier.handlers.receipts import apply_waiting
from notifier.handlers.webhooks import DELIVERY_KEPT
from notifier.ports import Tx
from shared.loops import Pacer
from shared.postgres.work import Work

ENDS_RECORDS_MAX: Final = 500
WAITING_RECEIPTS_MAX: Final = 500
FORGOTTEN_DELIVERIES_MAX: Final = 5_000
FORGET_SECONDS: Final = 60.0
BLOCKED_CHECK_SECONDS: Final = 5.0
"""How often permits of anybody are checked against stops that another replica took in."""


class EndLoop:
    """Ends permits that nobody will use: their end has come, or a stop or a suppression forbids them."""

    name: Final = "ends"

    def __init__(self, *, desk: Desk, work: Work) -> None:
        self._desk = desk
        self._work = work
        self._pacer = Pacer(BLOCKED_CHECK_SECONDS)

    def check_all(self) -> None:
        """Have the next run look at permits of anybody: something may forbid them that did not before."""
        self._pacer.call()

    async def run_once(self) -> int:
        """End one bounded batch."""
        permits, now = self._desk.permits, self._desk.clock.now()
        checks_all = self._pacer.passes()
        async with self._work.begin() as tx:
            ends = list(await permits.end_expired(tx, now=now, limit=ENDS_RECORDS_MAX))
            if checks_all:
                ends += await permits.end_blocked(tx, now=now, borrower_ids=None, limit=ENDS_RECORDS_MAX)
            await self._work.publish(tx, ends_of_permits(ends, now=now))
        if checks_all and len(ends) >= ENDS_RECORDS_MAX:
            self.check_all()  # there may be more
        return len(ends)

    async def next_due_at(self) -> datetime | None:
        """When the next unused permit ends."""
        async with self._work.begin() as tx:
            return await self._desk.permits.next_end_at(tx)


class UpkeepLoop:
    """Receipts that came before their attempt, and deliveries that are too old to be replayed."""

    name: Final = "upkeep"

    def __init__(self, *, desk: Desk, work: Work) -> None:
        self._desk = desk
        self._work = work
        self._forgot_at = float("-inf")

    async def run_once(self) -> int:
        """One bounded batch of each."""
        async with self._work.begin() as tx:
            applied, messages = await apply_waiting(tx, desk=self._desk, limit=WAITING_RECEIPTS_MAX)
            await self._work.publish(tx, messages)
            forgotten = await self._forget(tx)
        return applied + forgotten

    async def _forget(self, tx: Tx) -> int:
        if time.monotonic() - self._forgot_at < FORGET_SECONDS:
            return 0
        before = self._desk.clock.now() - DELIVERY_KEPT
        forgotten = await self._desk.deliveries.forget(tx, before=before, limit=FORGOTTEN_DELIVERIES_MAX)
        if forgotten < FORGOTTEN_DELIVERIES_MAX:
            self._forgot_at = time.monotonic()
        return forgotten
