"""What the handlers and loops need of storage. Every method works inside the caller's transaction, set-based."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.domain.planning import Dossier
from shared.contracts.attempts import AttemptSubmittedV1
from shared.contracts.standing import Standing


class DossierStore(Protocol):
    """Borrowers with their loans, circumstances, attempts and referrals."""

    async def lock(self, tx: AsyncConnection, borrower_ids: Iterable[str], *, now: datetime) -> Mapping[str, Dossier]:
        """The dossiers of `borrower_ids`, made where missing, locked in id order until the transaction ends."""
        ...

    async def claim_due(self, tx: AsyncConnection, *, now: datetime, borrowers_max: int) -> Mapping[str, Dossier]:
        """The dossiers that are due at `now`, longest due first, locked; those that another replica holds are left."""
        ...

    async def save(self, tx: AsyncConnection, changes: Sequence[tuple[Dossier, Dossier]]) -> None:
        """Write what differs between each dossier as it was loaded and as it is now.

        Steps that nobody has seen are not kept: every plan makes them anew from the facts, and `wake_at` says when.
        """
        ...

    async def mark_contacts(self, tx: AsyncConnection, states: Mapping[tuple[str, str], Standing]) -> int:
        """Set attempts (by borrower and id) to made or unknown, which take the place of every less sure state, as
        `after_report` does; returns how many of them were never handed over from here.
        """
        ...

    async def record_submissions(self, tx: AsyncConnection, submissions: Sequence[AttemptSubmittedV1]) -> None:
        """Keep the hand-overs; one that is there already is a defect and fails the transaction."""
        ...

    async def next_wake_at(self, tx: AsyncConnection) -> datetime | None:
        """The earliest instant at which a dossier is due."""
        ...
