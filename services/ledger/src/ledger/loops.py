"""Promises whose grace has ended, and replies whose contact is known by now: bounded batches at their own pace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import structlog

from ledger.handlers.desk import Desk
from ledger.handlers.promises import announce, settle_promises
from shared.postgres.work import Work

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseLoop:
    """Ends what is due and opens what waited; each run is one transaction over at most `batch_records_max`."""

    name: ClassVar[str] = "promises"

    desk: Desk
    work: Work
    batch_records_max: int
    attempt_wait_seconds_max: float

    async def run_once(self) -> int:
        """Settle one batch; the number of borrowers that were worked on."""
        store, limit = self.desk.store, self.batch_records_max
        async with self.work.begin() as tx:
            replies = await store.take_promise_requests(
                tx, waited_seconds_max=self.attempt_wait_seconds_max, limit=limit
            )
            ended = await store.borrowers_at_grace_end(tx, self.desk.clock.now(), limit)
            borrower_ids = {*ended, *(reply.borrower_id for reply in replies)}
            if not borrower_ids:
                return 0
            await store.lock_borrowers(tx, borrower_ids)
            settled = await settle_promises(tx, borrower_ids, replies, desk=self.desk)
            messages = await announce(tx, settled, {}, desk=self.desk)
            await self.work.publish(tx, messages)
        log.info("promises.settled", borrowers=len(borrower_ids), messages=len(messages))
        return len(borrower_ids)

    async def next_due_at(self) -> datetime | None:
        """The earliest end of grace of an open promise."""
        async with self.work.begin() as tx:
            return await self.desk.store.next_grace_end(tx)
