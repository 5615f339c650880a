"""Contacts that were made, or may have been: a mark on the attempt, without its dossier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler import metrics
from scheduler.handlers.desk import Desk
from shared.contracts import ContactMadeV1, ContactUnknownV1, Message, Standing, standing_of, surer
from shared.kafka.records import Outgoing, Received

CONTACT_TYPES: Final[tuple[type[Message], ...]] = (ContactMadeV1, ContactUnknownV1)
"""What says that a step was taken: the plan knew that already when it was handed over."""


async def record_contacts(
    tx: AsyncConnection,
    batch: Sequence[Received[ContactMadeV1 | ContactUnknownV1]],
    *,
    desk: Desk,
) -> Sequence[Outgoing]:
    """Mark attempts as made or unknown, without their dossiers: a step that was handed over is taken either way.

    The hot path of every contact. A wake-up that is left over from a deferral finds nothing to do.
    """
    states: dict[tuple[str, str], Standing] = {}
    for received in batch:
        key, standing = (received.message.borrower_id, received.message.attempt_id), standing_of(received.message)
        states[key] = surer(states.get(key, standing), standing)
    unmatched = await desk.store.mark_contacts(tx, states)
    metrics.REPORTS_UNMATCHED.inc(unmatched)
    return ()
