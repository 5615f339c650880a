"""Profiles, and everything that other services and people did: the case timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.handlers.desk import Desk, case_row
from ledger.ports import Profile
from shared.contracts import BorrowerUpdatedV1
from shared.kafka.records import Outgoing, Received


async def note_what_happened(tx: AsyncConnection, batch: Sequence[Received[Any]], *, desk: Desk) -> Sequence[Outgoing]:
    """Put attempts, decisions, outcomes, wishes and operator actions on the timeline; nothing is answered."""
    await desk.note(tx, [case_row(record) for record in batch])
    return ()


async def keep_profiles(
    tx: AsyncConnection, batch: Sequence[Received[BorrowerUpdatedV1]], *, desk: Desk
) -> Sequence[Outgoing]:
    """Keep each borrower's zones, in which days of grace end; names and numbers are not kept."""
    await desk.store.lock_borrowers(tx, {record.borrower_id for record in batch})
    profiles = [Profile(borrower_id=r.borrower_id, zones=r.message.zones, order_key=r.order_key) for r in batch]
    await desk.store.keep_profiles(tx, profiles)
    return await note_what_happened(tx, batch, desk=desk)
