"""`PermitStore` on Postgres."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from notifier.adapters import permit_sql, tables
from notifier.domain.permits import Permit, PermitEnded, Revocation, Stop
from notifier.ports import Claim, Claimed, PermitKey, SendResult, Tx
from shared.contracts import AttemptSubmittedV1, Channel
from shared.postgres.rows import Upsert, insert_rows

_decode_attempt: Final = msgspec.json.Decoder(AttemptSubmittedV1).decode
_encode_loans: Final = msgspec.json.Encoder().encode
_LATEST: Final = Upsert(
    keys=("stop_id",),
    update=("changed_at", "lifted"),
    where="(operator_stop.changed_at, NOT operator_stop.lifted) < (excluded.changed_at, NOT excluded.lifted)",
)


class PostgresPermits:
    """Permits in Postgres. `providers` names the provider of each channel; a channel without one can't be used."""

    def __init__(self, *, providers: dict[Channel, str]) -> None:
        self._common = (providers.get("sms"), providers.get("voice"))

    async def add(self, tx: Tx, permits: Sequence[Permit]) -> None:
        rows = [
            {
                "borrower_id": p.borrower_id,
                "attempt_id": p.attempt_id,
                "submission_number": p.submission_number,
                "decision_id": p.decision_id,
                "borrower_sequence": p.borrower_sequence,
                "expires_at": p.expires_at,
                "channel": p.channel,
                "contact_point_id": p.contact_point_id,
                "loans": p.loans,
                "strategy": p.strategy,
                "purpose": p.purpose,
                "attempt_json": p.attempt_json,
                "state": "permitted",
            }
            for p in permits
        ]
        await insert_rows(tx, tables.permit, rows)

    async def revoke(self, tx: Tx, revocations: Sequence[Revocation], *, holding: Collection[str] = ()) -> None:
        if not revocations:
            return
        columns: tuple[list[Any], ...] = (
            [r.borrower_id for r in revocations],
            [r.borrower_sequence for r in revocations],
            [r.revocation_id for r in revocations],
            [r.channel for r in revocations],
            [r.contact_point_id for r in revocations],
            [None if r.loans is None else _encode_loans(r.loans).decode() for r in revocations],
            [r.strategy for r in revocations],
            [r.provider for r in revocations],
            sorted({*holding, *(r.borrower_id for r in revocations)}),
        )
        await tx.exec_driver_sql(permit_sql.REVOKE, columns)

    async def set_stops(self, tx: Tx, stops: Sequence[Stop]) -> None:
        latest: dict[str, Stop] = {}
        for stop in stops:
            known = latest.setdefault(stop.stop_id, stop)
            if known.order < stop.order:
                latest[stop.stop_id] = stop
        rows = [
            {"stop_id": s.stop_id, "kind": s.kind, "value": s.value, "changed_at": s.changed_at, "lifted": s.lifted}
            for s in latest.values()
        ]
        await insert_rows(tx, tables.operator_stop, rows, on_conflict=_LATEST)

    async def end_blocked(
        self, tx: Tx, *, now: datetime, borrower_ids: Sequence[str] | None, limit: int
    ) -> Sequence[PermitEnded]:
        if borrower_ids is None:
            return _ended(await tx.exec_driver_sql(permit_sql.END_BLOCKED, (*self._common, now, limit)))
        arguments = (*self._common, now, limit, list(borrower_ids))
        return _ended(await tx.exec_driver_sql(permit_sql.END_BLOCKED_OF, arguments))

    async def end_expired(self, tx: Tx, *, now: datetime, limit: int) -> Sequence[PermitEnded]:
        return _ended(await tx.exec_driver_sql(permit_sql.END_EXPIRED, (*self._common, now, limit)))

    async def claim(self, tx: Tx, claim: Claim) -> Sequence[Claimed]:
        arguments = (*self._common, claim.now, claim.channel, claim.limit, claim.owner, claim.lease_seconds)
        rows = await tx.exec_driver_sql(permit_sql.CLAIM, arguments)
        return [
            Claimed(
                key=(row.borrower_id, row.attempt_id, row.submission_number),
                attempt=_decode_attempt(row.attempt_json),
                expires_at=row.expires_at,
                number_sealed=row.value_sealed,
                name_sealed=row.name_sealed,
                wrapped_key=row.wrapped_key,
                region=row.region or "",
                zones=tuple(row.zones or ()),
                contacted_before=row.contacted_before,
            )
            for row in rows
        ]

    async def record(
        self, tx: Tx, results: Sequence[SendResult], *, owner: str, now: datetime
    ) -> Sequence[PermitEnded]:
        columns: tuple[list[Any], ...] = (
            [r.key[0] for r in results],
            [r.key[1] for r in results],
            [r.key[2] for r in results],
            [r.outcome for r in results],
            [r.message_id for r in results],
            [r.reason for r in results],
        )
        return _ended(await tx.exec_driver_sql(permit_sql.RECORD, (*columns, owner, now)))

    async def take_lapsed(
        self, tx: Tx, *, owner: str, lease_seconds: float, limit: int
    ) -> Sequence[tuple[PermitKey, Channel]]:
        rows = await tx.exec_driver_sql(permit_sql.TAKE_LAPSED, (owner, lease_seconds, limit))
        return [((row.borrower_id, row.attempt_id, row.submission_number), row.channel) for row in rows]

    async def next_end_at(self, tx: Tx) -> datetime | None:
        ends = sa.select(sa.func.min(tables.permit.c.expires_at)).where(tables.permit.c.state == "permitted")
        found: datetime | None = await tx.scalar(ends)
        return found


def _ended(rows: Iterable[Any]) -> list[PermitEnded]:
    """The rows that have an end, sorted, so that one run publishes them in the same order as another."""
    ends = [ended_of(row) for row in rows if row.state not in ("permitted", "sending")]
    return sorted(ends, key=lambda e: (e.borrower_id, e.attempt_id, e.submission_number))


def ended_of(row: Any) -> PermitEnded:
    """A permit's row with an end as a value."""
    return PermitEnded(
        borrower_id=row.borrower_id,
        attempt_id=row.attempt_id,
        submission_number=row.submission_number,
        decision_id=row.decision_id,
        channel=row.channel,
        contact_point_id=row.contact_point_id,
        loans=tuple(row.loans),
        provider=row.provider,
        state=row.state,
        reason=row.reason,
        at=row.ended_at if row.state == "not_made" else row.sent_at,
    )
