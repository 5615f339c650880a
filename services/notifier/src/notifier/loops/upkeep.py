"""Permits that nobody will use, receipts that came too early, deliveries that are too old to be replayed."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from notifier.handlers.inbound import InboundHandlers
from notifier.handlers.outgoing import ends_of_permits
from notifier.handlers.permits import PermitHandlers
from notifier.handlers.receipts import ReceiptHandlers
from notifier.handlers.webhooks import DELIVERY_KEPT
from notifier.ports import DeliveryLog, PermitStore, Tx, Work
from shared.clock import Clock

ENDS_RECORDS_MAX: Final = 500
WAITING_RECEIPTS_MAX: Final = 500
FORGOTTEN_DELIVERIES_MAX: Final = 5_000
FORGET_SECONDS: Final = 60.0
BLOCKED_CHECK_SECONDS: Final = 5.0
"""How often permits of anybody are checked against stops that another replica took in."""


class EndLoop:
    """Ends permits that nobody will use: their end has come, or a stop or a suppression forbids them."""

    name: Final = "ends"

    def __init__(
        self, *, work: Work, permits: PermitStore, clock: Clock, decisions: PermitHandlers, inbound: InboundHandlers
    ) -> None:
        self._work = work
        self._permits = permits
        self._clock = clock
        self._decisions = decisions
        self._inbound = inbound
        self._checked_at = 0.0

    async def run_once(self) -> int:
        """End one bounded batch."""
        now = self._clock.now()
        check_all = (
            self._decisions.stops_changed
            or self._inbound.suppressions_changed
            or time.monotonic() - self._checked_at >= BLOCKED_CHECK_SECONDS
        )
        self._decisions.stops_changed = self._inbound.suppressions_changed = False
        async with self._work.begin() as tx:
            ends = list(await self._permits.end_expired(tx, now=now, limit=ENDS_RECORDS_MAX))
            if check_all:
                ends += await self._permits.end_blocked(tx, now=now, borrower_ids=None, limit=ENDS_RECORDS_MAX)
            await self._work.publish(tx, ends_of_permits(ends, now=now))
        self._work.committed(len(ends))
        if check_all and len(ends) < ENDS_RECORDS_MAX:
            self._checked_at = time.monotonic()
        elif check_all:
            self._checked_at = 0.0  # there may be more
        return len(ends)

    async def next_due_at(self) -> datetime | None:
        """When the next unused permit ends."""
        async with self._work.begin() as tx:
            return await self._permits.next_end_at(tx)


class UpkeepLoop:
    """Receipts that came before their attempt, and deliveries that are too old to be replayed."""

    name: Final = "upkeep"

    def __init__(self, *, work: Work, receipts: ReceiptHandlers, deliveries: DeliveryLog, clock: Clock) -> None:
        self._work = work
        self._receipts = receipts
        self._deliveries = deliveries
        self._clock = clock
        self._forgot_at = float("-inf")

    async def run_once(self) -> int:
        """One bounded batch of each."""
        async with self._work.begin() as tx:
            applied, messages = await self._receipts.apply_waiting(tx, limit=WAITING_RECEIPTS_MAX)
            await self._work.publish(tx, messages)
            forgotten = await self._forget(tx)
        self._work.committed(len(messages))
        return applied + forgotten

    async def _forget(self, tx: Tx) -> int:
        if time.monotonic() - self._forgot_at < FORGET_SECONDS:
            return 0
        before = self._clock.now() - DELIVERY_KEPT
        forgotten = await self._deliveries.forget(tx, before=before, limit=FORGOTTEN_DELIVERIES_MAX)
        if forgotten < FORGOTTEN_DELIVERIES_MAX:
            self._forgot_at = time.monotonic()
        return forgotten
