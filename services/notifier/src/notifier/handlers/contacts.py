"""Contact data from Kafka: sealed, and the latest by event time stays, in any order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from notifier.handlers.permits import PermitHandlers
from notifier.ports import ContactStore, Profile, Tx
from shared.contracts import BorrowerUpdatedV1
from shared.kafka.records import Outgoing, Received


class ContactHandlers:
    """Handlers over one store of contact data."""

    def __init__(self, *, contacts: ContactStore, permits: PermitHandlers) -> None:
        self._contacts = contacts
        self._permits = permits

    async def on_borrowers(self, tx: Tx, batch: Sequence[Received[Any]]) -> Sequence[Outgoing]:
        """Keep the newest profiles, and end permits for contact points that are no longer used."""
        changed = set(await self._contacts.put(tx, [_profile(received) for received in batch]))
        return await self._permits.end_blocked_of(tx, [r for r in batch if r.borrower_id in changed])


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
