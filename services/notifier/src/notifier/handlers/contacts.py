"""Contact data from Kafka: sealed, and the latest by event time stays, in any order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from notifier.handlers.desk import Desk
from notifier.handlers.permits import end_blocked_of
from notifier.ports import Profile, Tx
from shared.contracts import BorrowerUpdatedV1
from shared.kafka.records import Outgoing, Received


async def keep_contacts(tx: Tx, batch: Sequence[Received[Any]], *, desk: Desk) -> Sequence[Outgoing]:
    """Keep the newest profiles, and end permits for contact points that are no longer used."""
    changed = set(await desk.contacts.put(tx, [_profile(received) for received in batch]))
    return await end_blocked_of(tx, [r for r in batch if r.borrower_id in changed], desk=desk)


def _profile(received: Received[Any]) -> Profile:
    update: BorrowerUpdatedV1 = received.message
    return Profile(
        borrower_id=update.borrower_id,
        order_key=received.order_key,
        name=update.name,
        region=update.region,
        zones=update.zones,
        contact_points=update.contact_points,
    )
