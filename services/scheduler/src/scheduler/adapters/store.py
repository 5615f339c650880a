"""Dossiers in Postgres: one query a table to load a batch of borrowers, one statement a table to write what changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from scheduler.adapters import tables
from scheduler.domain.attempts import Attempt, Referral
from scheduler.domain.planning import Dossier
from scheduler.domain.profile import Circumstance, ContactPlace, Loan, Person, Profile
from shared.contracts.attempts import Approval, AttemptSubmittedV1
from shared.contracts.standing import STANDINGS_RISING, Standing
from shared.postgres.rows import Row, Upsert, insert_rows, lock_borrowers, select_matching, update_rows

ATTEMPTS_KEPT_IN_VIEW: Final = timedelta(days=60)
"""Attempts that expired longer ago can't touch a plan: a step is planned only before its own expiry."""
_places: Final = msgspec.json.Decoder(tuple[ContactPlace, ...])


def _names(table: sa.Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


def _upsert(table: sa.Table) -> Upsert:
    keys = tuple(column.name for column in table.primary_key.columns)
    return Upsert(keys=keys, update=tuple(name for name in _names(table) if name not in keys))


for _table, _fields in ((tables.loan, Loan._fields), (tables.attempt, Attempt._fields)):
    assert _names(_table) == ("borrower_id", *_fields), "rows become values by position"

_BORROWER_COLUMNS: Final = _names(tables.borrower)
_UPSERTS: Final = {table: _upsert(table) for table in (tables.loan, tables.circumstance)}


_RANK: Final = f"array_position(ARRAY{list(STANDINGS_RISING)}, {{0}}.state)"
"""How sure a taken step is; NULL for every other state."""


class PostgresDossiers:
    """The `DossierStore` on Postgres."""

    async def lock(self, tx: AsyncConnection, borrower_ids: Iterable[str], *, now: datetime) -> Mapping[str, Dossier]:
        rows = await lock_borrowers(tx, tables.borrower, borrower_ids, columns=_BORROWER_COLUMNS)
        return await self._load(tx, list(rows.values()), now)

    async def claim_due(self, tx: AsyncConnection, *, now: datetime, borrowers_max: int) -> Mapping[str, Dossier]:
        result = await tx.exec_driver_sql(
            f"SELECT {', '.join(_BORROWER_COLUMNS)} FROM borrower "
            "WHERE wake_at <= $1 ORDER BY wake_at, borrower_id LIMIT $2 FOR UPDATE SKIP LOCKED",
            (now, borrowers_max),
        )
        return await self._load(tx, result.all(), now)

    async def next_wake_at(self, tx: AsyncConnection) -> datetime | None:
        return (await tx.exec_driver_sql("SELECT min(wake_at) FROM borrower WHERE wake_at IS NOT NULL")).scalar()

    async def mark_contacts(self, tx: AsyncConnection, states: Mapping[tuple[str, str], Standing]) -> int:
        await lock_borrowers(tx, tables.borrower, {borrower_id for borrower_id, _ in states})
        rows = [
            {"borrower_id": borrower_id, "attempt_id": attempt_id, "state": state, "end_reason": None}
            for (borrower_id, attempt_id), state in states.items()
        ]
        marked = await update_rows(
            tx,
            tables.attempt,
            rows,
            keys=("borrower_id", "attempt_id"),
            where=f"COALESCE({_RANK.format('t')} < {_RANK.format('r')}, true)",
            returning=("attempt_id",),
        )
        if len(marked) == len(rows):
            return 0
        known = await select_matching(
            tx,
            tables.attempt,
            [{"borrower_id": borrower_id, "attempt_id": attempt_id} for borrower_id, attempt_id in states],
            columns=("attempt_id",),
        )
        return len(rows) - len(known)

    async def record_submissions(self, tx: AsyncConnection, submissions: Sequence[AttemptSubmittedV1]) -> None:
        rows = [
            {
                "borrower_id": s.borrower_id,
                "attempt_id": s.attempt_id,
                "submission_number": s.submission_number,
                "submitted_at": s.submitted_at,
            }
            for s in submissions
        ]
        await insert_rows(tx, tables.submission, rows, on_conflict="raise")

    async def save(self, tx: AsyncConnection, changes: Sequence[tuple[Dossier, Dossier]]) -> None:
        await self._save_borrowers(tx, changes)
        loans = [
            _loan_row(after.profile.borrower_id, loan)
            for before, after in changes
            for key, loan in after.profile.loans.items()
            if before.profile.loans.get(key) is not loan
        ]
        circumstances = [
            _circumstance_row(after.profile.borrower_id, circumstance)
            for before, after in changes
            for key, circumstance in after.profile.circumstances.items()
            if before.profile.circumstances.get(key) is not circumstance
        ]
        attempts = [
            (after.profile.borrower_id, key in before.attempts, attempt)
            for before, after in changes
            for key, attempt in after.attempts.items()
            if before.attempts.get(key) is not attempt and not attempt.unseen
        ]
        whole = [_attempt_row(borrower_id, a) for borrower_id, is_known, a in attempts if not is_known]
        moved = [_attempt_move(borrower_id, a) for borrower_id, is_known, a in attempts if is_known]
        referrals = [
            _referral_row(after.profile.borrower_id, referral)
            for before, after in changes
            for key, referral in after.referrals.items()
            if key not in before.referrals
        ]
        for table, rows in ((tables.loan, loans), (tables.circumstance, circumstances)):
            await insert_rows(tx, table, rows, on_conflict=_UPSERTS[table])
        await insert_rows(tx, tables.attempt, whole, on_conflict="raise")
        await update_rows(tx, tables.attempt, moved, keys=("borrower_id", "attempt_id"))
        await insert_rows(tx, tables.referral, referrals, on_conflict="raise")

    async def _save_borrowers(self, tx: AsyncConnection, changes: Sequence[tuple[Dossier, Dossier]]) -> None:
        people = [
            _person_row(after.profile.borrower_id, after.profile.person)
            for before, after in changes
            if after.profile.person is not None and before.profile.person is not after.profile.person
        ]
        await update_rows(tx, tables.borrower, people, keys=("borrower_id",))
        wakes = [
            {"borrower_id": after.profile.borrower_id, "wake_at": after.wake_at}
            for before, after in changes
            if before.wake_at != after.wake_at
        ]
        await update_rows(tx, tables.borrower, wakes, keys=("borrower_id",))

    async def _load(self, tx: AsyncConnection, borrowers: Sequence[Row], now: datetime) -> dict[str, Dossier]:
        borrower_ids = [row.borrower_id for row in borrowers]
        if not borrower_ids:
            return {}
        loans = await _grouped(tx, tables.loan, borrower_ids)
        circumstances = await _grouped(tx, tables.circumstance, borrower_ids)
        attempts = await _grouped(tx, tables.attempt, borrower_ids, expires_after=now - ATTEMPTS_KEPT_IN_VIEW)
        referrals = await _grouped(tx, tables.referral, borrower_ids)
        return {
            row.borrower_id: Dossier(
                profile=Profile(
                    borrower_id=row.borrower_id,
                    person=_person(row),
                    loans={loan.loan_id: loan for loan in map(_loan, loans[row.borrower_id])},
                    circumstances={
                        (c.kind, c.circumstance_id): c for c in map(_circumstance, circumstances[row.borrower_id])
                    },
                ),
                attempts={a.attempt_id: a for a in map(_attempt, attempts[row.borrower_id])},
                referrals={r.referral_id: r for r in map(_referral, referrals[row.borrower_id])},
                wake_at=row.wake_at,
            )
            for row in borrowers
        }


async def _grouped(
    tx: AsyncConnection, table: sa.Table, borrower_ids: Sequence[str], *, expires_after: datetime | None = None
) -> Mapping[str, Sequence[Row]]:
    condition, parameters = "", (borrower_ids,)
    if expires_after is not None:
        condition, parameters = "AND expires_at > $2", (borrower_ids, expires_after)  # type: ignore[assignment]
    result = await tx.exec_driver_sql(
        f"SELECT {', '.join(_names(table))} FROM {table.name} WHERE borrower_id = ANY($1::text[]) {condition}",
        parameters,
    )
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in result.all():
        grouped[row[0]].append(row)
    return grouped


def _person(row: Row) -> Person | None:
    if row.profile_at is None:
        return None
    return Person(
        order=(row.profile_at, row.profile_tie),
        language=row.language,
        region=row.region,
        zones=tuple(row.zones),
        contact_places=_places.decode(row.contact_places),
    )


def _person_row(borrower_id: str, person: Person) -> dict[str, Any]:
    return {
        "borrower_id": borrower_id,
        "profile_at": person.order[0],
        "profile_tie": person.order[1],
        "language": person.language,
        "region": person.region,
        "zones": person.zones,
        "contact_places": msgspec.json.encode(person.contact_places).decode(),
    }


def _loan(row: Row) -> Loan:
    return Loan._make(row[1:])


def _loan_row(borrower_id: str, loan: Loan) -> dict[str, Any]:
    return {"borrower_id": borrower_id, **loan._asdict()}


def _circumstance(row: Row) -> Circumstance:
    return Circumstance(
        kind=row.kind,
        circumstance_id=row.circumstance_id,
        order=(row.order_at, row.order_tie),
        active=row.active,
        detail=row.detail,
        channel=row.channel,
        contact_point_id=row.contact_point_id,
        loans=None if row.loans is None else tuple(row.loans),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
    )


def _circumstance_row(borrower_id: str, circumstance: Circumstance) -> dict[str, Any]:
    return {
        "borrower_id": borrower_id,
        "kind": circumstance.kind,
        "circumstance_id": circumstance.circumstance_id,
        "order_at": circumstance.order[0],
        "order_tie": circumstance.order[1],
        "active": circumstance.active,
        "detail": circumstance.detail,
        "channel": circumstance.channel,
        "contact_point_id": circumstance.contact_point_id,
        "loans": circumstance.loans,
        "starts_at": circumstance.starts_at,
        "ends_at": circumstance.ends_at,
    }


def _attempt(row: Row) -> Attempt:
    approval = row.approval
    return Attempt._make(
        (str(row.attempt_id), *row[2:-1], None if approval is None else msgspec.convert(approval, Approval))
    )


def _attempt_row(borrower_id: str, attempt: Attempt) -> dict[str, Any]:
    return {"borrower_id": borrower_id, **attempt._asdict()}


_MOVING_FIELDS: Final = (
    "attempt_id",
    "due_at",
    "state",
    "end_reason",
    "wanted",
    "submissions",
    "deferred_until",
    "submitted_at",
    "contact_point_id",
    "approval",
)
"""What changes once an attempt was handed over; the rest says which step it is."""


def _attempt_move(borrower_id: str, attempt: Attempt) -> dict[str, Any]:
    return {"borrower_id": borrower_id, **{name: getattr(attempt, name) for name in _MOVING_FIELDS}}


def _referral(row: Row) -> Referral:
    return Referral(
        referral_id=str(row.referral_id),
        currency=row.currency,
        episode=row.episode,
        step_key=row.step_key,
        target=row.target,
        referred_at=row.referred_at,
    )


def _referral_row(borrower_id: str, referral: Referral) -> dict[str, Any]:
    return {"borrower_id": borrower_id, **{name: getattr(referral, name) for name in _names(tables.referral)[1:]}}
