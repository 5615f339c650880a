"""`ContactStore` on Postgres, and the erasure of a borrower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from notifier.adapters import tables
from notifier.ports import Profile, Sealer, Tx
from shared.contracts import ContactPoint
from shared.postgres.rows import Upsert, insert_rows, lock_borrowers, select_matching, update_rows

_ORDER: Final = ("event_time", "event_source", "event_id")
_REPLACED: Final = Upsert(
    keys=("borrower_id", "contact_point_id"), update=("kind", "holder", "active", "value_sealed", "number_hash")
)
_NAME: Final = "name"


def number_field(contact_point_id: str) -> str:
    """What a contact point's sealed value is bound to."""
    return f"contact_point:{contact_point_id}"


class PostgresContacts:
    """Contact data, sealed. A point that a newer profile no longer names stays as a hash, without its value."""

    def __init__(self, *, sealer: Sealer) -> None:
        self._sealer = sealer

    async def put(self, tx: Tx, profiles: Sequence[Profile]) -> Sequence[str]:
        newest: dict[str, Profile] = {}
        for profile in profiles:
            known = newest.setdefault(profile.borrower_id, profile)
            if known.order_key < profile.order_key:
                newest[profile.borrower_id] = profile
        stored = await lock_borrowers(tx, tables.borrower, newest, columns=_ORDER)
        winners = [p for p in newest.values() if _order_of(stored[p.borrower_id]) < p.order_key]
        if not winners:
            return ()
        keys = await self._keys(tx, [profile.borrower_id for profile in winners])
        await self._write(tx, winners, keys)
        return [profile.borrower_id for profile in winners]

    async def _keys(self, tx: Tx, borrower_ids: Sequence[str]) -> Mapping[str, bytes]:
        fresh = [{"borrower_id": b, "wrapped_key": self._sealer.new_wrapped_key(b)} for b in borrower_ids]
        await insert_rows(tx, tables.borrower_key, fresh)
        wanted = [{"borrower_id": b} for b in borrower_ids]
        rows = await select_matching(tx, tables.borrower_key, wanted, columns=("borrower_id", "wrapped_key"))
        return {row.borrower_id: row.wrapped_key for row in rows}

    async def _write(self, tx: Tx, profiles: Sequence[Profile], keys: Mapping[str, bytes]) -> None:
        gone = tables.contact_point.update().values(active=False, value_sealed=None)
        await tx.execute(gone.where(tables.contact_point.c.borrower_id.in_([p.borrower_id for p in profiles])))
        points = {
            (profile.borrower_id, point.contact_point_id): self._point(profile, point, keys[profile.borrower_id])
            for profile in profiles
            for point in profile.contact_points
        }
        await insert_rows(tx, tables.contact_point, list(points.values()), on_conflict=_REPLACED)
        rows = [
            {
                "borrower_id": p.borrower_id,
                **dict(zip(_ORDER, p.order_key, strict=True)),
                "region": p.region,
                "zones": p.zones,
                "name_sealed": self._seal(p.borrower_id, _NAME, p.name, keys[p.borrower_id]),
            }
            for p in profiles
        ]
        await update_rows(tx, tables.borrower, rows, keys=("borrower_id",))

    def _point(self, profile: Profile, point: ContactPoint, key: bytes) -> dict[str, Any]:
        field = number_field(point.contact_point_id)
        return {
            "borrower_id": profile.borrower_id,
            "contact_point_id": point.contact_point_id,
            "kind": point.kind,
            "holder": point.holder,
            "active": point.active,
            "value_sealed": self._seal(profile.borrower_id, field, point.value, key),
            "number_hash": None if point.kind == "email" else self._sealer.hash_number(point.value),
        }

    def _seal(self, borrower_id: str, field: str, text: str, key: bytes) -> bytes:
        return self._sealer.seal(key, borrower_id=borrower_id, field=field, text=text)


def _order_of(row: Any) -> tuple[datetime, str, str]:
    if row.event_time is None:
        return (datetime.min.replace(tzinfo=UTC), "", "")
    return (row.event_time, row.event_source, row.event_id)


async def erase(tx: Tx, *, borrower_id: str, now: datetime, acted_by: str, reason: str) -> bool:
    """Delete the borrower's key and hashes, so that nothing sealed can be read again; whether there was a key.

    Profiles from before `now` are never taken again, also when they are driven again. Suppressions stay: a stop is
    kept for the number, whoever it belonged to.
    """
    await lock_borrowers(tx, tables.borrower, [borrower_id])
    key, point, permit = tables.borrower_key, tables.contact_point, tables.permit
    deleted = await tx.execute(key.delete().where(key.c.borrower_id == borrower_id))
    await tx.execute(point.delete().where(point.c.borrower_id == borrower_id))
    await tx.execute(permit.update().values(number_hash=None).where(permit.c.borrower_id == borrower_id))
    await tx.execute(
        tables.borrower.update()
        .values(event_time=now, event_source="erasure", event_id="", name_sealed=None)
        .where(tables.borrower.c.borrower_id == borrower_id)
    )
    audit = {"borrower_id": borrower_id, "audited_at": now, "action": "erased", "acted_by": acted_by, "reason": reason}
    await tx.execute(sa.insert(tables.contact_audit).values(audit))
    return deleted.rowcount > 0
