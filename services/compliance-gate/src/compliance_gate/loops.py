"""Work at its own pace: operators' stops are swept over open permits, and permits without an end are counted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog

from compliance_gate import metrics
from compliance_gate.domain import Stop
from compliance_gate.handlers.desk import Desk
from compliance_gate.handlers.held import Sequences
from compliance_gate.handlers.revocations import revocation_message
from compliance_gate.ports import OpenPermit, Tx
from shared import ids
from shared.contracts import PermitRevokedV1, RevocationScope
from shared.kafka.records import Outgoing
from shared.loops import Pacer
from shared.postgres.work import Work

SWEEP_BORROWERS_MAX: Final = 500
log = structlog.get_logger()


class StopSweep:
    """Ends the open permits inside the scope of every stop in force, a bounded number of borrowers at a time.

    What is to be done follows from the rows alone, so a crash, a second replica and a permit that was given while a
    stop was being stored need no care.
    """

    name: Final = "stops"

    def __init__(self, *, desk: Desk, work: Work) -> None:
        self._desk = desk
        self._work = work
        self.pacer = Pacer(1.0)

    async def run_once(self) -> int:
        """Revoke for up to `SWEEP_BORROWERS_MAX` borrowers; the number of revocations."""
        if not self.pacer.passes():
            return 0
        store = self._desk.store
        async with self._work.begin() as tx:
            stops = await store.stops(tx)
            borrower_ids = await store.borrowers_to_stop(tx, stops, limit=SWEEP_BORROWERS_MAX) if stops else []
            revocations = await self._revoke(tx, stops, borrower_ids) if borrower_ids else 0
        if revocations:
            self.pacer.call()
            log.info("stops.swept", revocations=revocations)
        return revocations

    async def _revoke(self, tx: Tx, stops: tuple[Stop, ...], borrower_ids: list[str]) -> int:
        store, now = self._desk.store, self._desk.clock.now()
        locked = await store.lock_borrowers(tx, borrower_ids)
        sequences = Sequences({borrower_id: row.sequence for borrower_id, row in locked.items()})
        left = await store.open_permits(tx, borrower_ids)
        revoked = []
        for stop in stops:
            for borrower_id in borrower_ids:
                covered = [permit for permit in left if permit.borrower_id == borrower_id and _covers(stop, permit)]
                if covered:
                    left = [permit for permit in left if permit not in covered]
                    number = sequences.next(borrower_id)
                    revoked.append((_outgoing(stop, covered, number, now), covered))
        await store.record_revocations(tx, revoked)
        await store.save_sequences(tx, sequences.changed)
        await self._work.publish(tx, [outgoing for outgoing, _ in revoked])
        metrics.REVOCATIONS.labels("stop").inc(len(revoked))
        return len(revoked)


def _covers(stop: Stop, permit: OpenPermit) -> bool:
    match stop.scope:
        case "all":
            return True
        case "channel":
            return stop.value == permit.channel
        case "provider":
            return stop.value == permit.provider
        case "strategy":
            return stop.value == permit.strategy
        case "borrower":
            return stop.value == permit.borrower_id


def _outgoing(stop: Stop, covered: list[OpenPermit], sequence: int, now: datetime) -> Outgoing:
    borrower_id = covered[0].borrower_id
    revocation_id = ids.derive("revocation", borrower_id, "stop", covered[0].decision_id)
    message: PermitRevokedV1 = revocation_message(
        borrower_id, revocation_id, sequence, _scope(stop), "stop", now, covered
    )
    return Outgoing(message=message, ce_id=revocation_id, ce_time=now)


def _scope(stop: Stop) -> RevocationScope:
    match stop.scope:
        case "channel":
            return RevocationScope(channel=stop.value)  # type: ignore[arg-type]
        case "provider":
            return RevocationScope(provider=stop.value)
        case "strategy":
            return RevocationScope(strategy=stop.value)
        case "all" | "borrower":
            return RevocationScope()


class PermitWatch:
    """Counts permits without an end: one that is over for long is an alert, and its slots stay counted."""

    name: Final = "permits"

    def __init__(self, *, desk: Desk, work: Work, overdue: timedelta) -> None:
        self._desk = desk
        self._work = work
        self._overdue = overdue
        self._pacer = Pacer(5.0)

    async def run_once(self) -> int:
        """Set the gauges; never has items."""
        if self._pacer.passes():
            async with self._work.begin() as tx:
                ended_before = self._desk.clock.now() - self._overdue
                counts = await self._desk.store.permit_counts(tx, ended_before=ended_before)
            metrics.PERMITS_OPEN.set(counts.open)
            metrics.PERMITS_OVERDUE.set(counts.overdue)
            if counts.overdue:
                log.warning("permits.overdue", permits=counts.overdue)
        return 0
