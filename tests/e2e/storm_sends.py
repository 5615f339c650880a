"""Every request at the carrier beside the claim that it was made under, and beside every revocation of that permit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

_CLAIMED = """
SELECT attempt_id, borrower_id, borrower_sequence, channel, contact_point_id, loans, strategy, provider, claimed_at,
  expires_at FROM permit WHERE sent_at IS NOT NULL"""
_REVOCATIONS = """
SELECT borrower_id, borrower_sequence, channel, contact_point_id, loans, strategy, provider, recorded_at
FROM revocation"""
_REVOKED = "SELECT count(*) FROM permit WHERE state = 'not_made' AND reason = 'revoked'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One request. `claimed_at` and `recorded_at` are the database's wall time, `received_at` the carrier's."""

    attempt_id: str
    at: datetime
    received_at: datetime
    claimed_at: datetime | None
    """None: nobody had claimed a permit for it."""
    permit_ended_at: datetime | None
    """Business time, as `at`."""
    revoked_at: datetime | None
    """When the first revocation that covers its permit was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sends:
    """All requests of a run, and how many permits a revocation ended before anybody used them."""

    sends: tuple[Send, ...]
    revoked_unused: int

    def without_permit(self) -> list[str]:
        """Attempts that were sent without a claim, or when their permit had ended."""
        return [
            send.attempt_id
            for send in self.sends
            if send.claimed_at is None or send.permit_ended_at is None or send.at >= send.permit_ended_at
        ]

    def claimed_after_revocation(self) -> list[str]:
        """Attempts whose permit was claimed when its revocation was known.

        A revocation is stored only when every claim in hand of its borrower is over, and while its transaction is open
        nobody claims: so a claim that came first has the earlier instant, however long that transaction was open.
        """
        return [s.attempt_id for s in self.sends if s.revoked_at and s.claimed_at and s.claimed_at >= s.revoked_at]

    def received_after_revocation(self, lease_seconds: float) -> list[str]:
        """Attempts that reached the carrier when their revocation had been known for longer than a claim may last.

        The claim came first, then; but whoever sleeps past its lease has to let go of what it had claimed.
        """
        lease = timedelta(seconds=lease_seconds)
        return [s.attempt_id for s in self.sends if s.revoked_at and s.received_at > s.revoked_at + lease]


async def sends_of(url: str, received: Sequence[tuple[str, datetime, datetime]]) -> Sends:
    """The requests (attempt, business time and wall time at the carrier) beside what the notifier's database says."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        claims = {row["attempt_id"]: row for row in await connection.fetch(_CLAIMED)}
        revocations: defaultdict[str, list[Any]] = defaultdict(list)
        for row in await connection.fetch(_REVOCATIONS):
            revocations[row["borrower_id"]].append(row)
        revoked_unused: int = await connection.fetchval(_REVOKED)
    finally:
        await connection.close()
    sends = []
    for attempt_id, at, received_at in received:
        claim = claims.get(attempt_id)
        covering = [r["recorded_at"] for r in revocations[claim["borrower_id"]] if _covers(r, claim)] if claim else []
        sends.append(
            Send(
                attempt_id=attempt_id,
                at=at,
                received_at=received_at,
                claimed_at=claim["claimed_at"] if claim else None,
                permit_ended_at=claim["expires_at"] if claim else None,
                revoked_at=min(covering, default=None),
            )
        )
    return Sends(sends=tuple(sends), revoked_unused=revoked_unused)


def _covers(revocation: Any, claim: Any) -> bool:
    """Whether a revocation has a permit in its scope; a field that says nothing covers everything."""
    if revocation["borrower_sequence"] <= claim["borrower_sequence"]:
        return False
    if revocation["loans"] is not None and not set(revocation["loans"]) & set(claim["loans"]):
        return False
    names = ("channel", "contact_point_id", "strategy", "provider")
    return all(revocation[name] in (None, claim[name]) for name in names)
