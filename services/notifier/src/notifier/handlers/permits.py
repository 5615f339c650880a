"""Permits, revocations and stops from Kafka: stored at once, whatever a provider is doing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from notifier.domain.permits import Permit, Revocation, Stop
from notifier.handlers.desk import Desk
from notifier.handlers.outgoing import answers, ends_of_permits
from notifier.ports import Tx
from shared.contracts import ContactAllowedV1, PermitRevokedV1, StopLiftedV1, StopOrderedV1
from shared.kafka.records import Outgoing, Received

_encode: Final = msgspec.json.Encoder().encode


async def take_decisions(tx: Tx, batch: Sequence[Received[Any]], *, desk: Desk) -> Sequence[Outgoing]:
    """Store permits and revocations together, then end at once what may not be used."""
    await desk.permits.add(tx, [_permit(r.message) for r in batch if isinstance(r.message, ContactAllowedV1)])
    revocations = [_revocation(r.message) for r in batch if isinstance(r.message, PermitRevokedV1)]
    await desk.permits.revoke(tx, revocations, holding={received.borrower_id for received in batch})
    return await end_blocked_of(tx, batch, desk=desk)


async def keep_stops(tx: Tx, batch: Sequence[Received[Any]], *, desk: Desk) -> Sequence[Outgoing]:
    """Keep stops; from this commit on no claim passes them, and a loop ends the permits that wait."""
    await desk.permits.set_stops(tx, [_stop(received.message) for received in batch])
    return ()


async def end_blocked_of(tx: Tx, batch: Sequence[Received[Any]], *, desk: Desk) -> Sequence[Outgoing]:
    """End the unused permits of the batch's borrowers that something forbids now."""
    causes = {received.borrower_id: received for received in batch}
    now = desk.clock.now()
    ends = await desk.permits.end_blocked(tx, now=now, borrower_ids=sorted(causes), limit=_ALL)
    return answers(ends, causes, now=now)


async def end_blocked_by_borrowers(tx: Tx, borrower_ids: Collection[str], *, desk: Desk) -> list[Outgoing]:
    """As `end_blocked_of`, where what forbids them is what borrowers said and not a record.

    A claim in hand is waited for; one that has not seen what was said finds them ended.
    """
    now = desk.clock.now()
    ends = await desk.permits.end_blocked(tx, now=now, borrower_ids=sorted(borrower_ids), limit=_ALL)
    return ends_of_permits(ends, now=now)


_ALL: Final = 100_000
"""More than a batch's borrowers can have open: the gate's caps keep a borrower's open permits to a handful."""


def _permit(allowed: ContactAllowedV1) -> Permit:
    return Permit(
        borrower_id=allowed.borrower_id,
        attempt_id=allowed.attempt_id,
        submission_number=allowed.submission_number,
        decision_id=allowed.decision_id,
        borrower_sequence=allowed.borrower_sequence,
        expires_at=allowed.permit_expires_at,
        channel=allowed.attempt.channel,
        contact_point_id=allowed.attempt.contact_point_id,
        loans=tuple(loan.loan_id for loan in allowed.attempt.loans),
        strategy=allowed.attempt.strategy,
        purpose=allowed.attempt.purpose,
        attempt_json=_encode(allowed.attempt),
    )


def _revocation(revoked: PermitRevokedV1) -> Revocation:
    return Revocation(
        borrower_id=revoked.borrower_id,
        revocation_id=revoked.revocation_id,
        borrower_sequence=revoked.borrower_sequence,
        channel=revoked.scope.channel,
        contact_point_id=revoked.scope.contact_point_id,
        loans=revoked.scope.loans,
        strategy=revoked.scope.strategy,
        provider=revoked.scope.provider,
    )


def _stop(order: StopOrderedV1 | StopLiftedV1) -> Stop:
    lifted = isinstance(order, StopLiftedV1)
    changed_at = order.lifted_at if isinstance(order, StopLiftedV1) else order.ordered_at
    return Stop(stop_id=order.stop_id, kind=order.kind, value=order.value, changed_at=changed_at, lifted=lifted)
