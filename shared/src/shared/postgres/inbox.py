"""What a service has already applied, by idempotency key, with the messages that it answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.types import Message
from shared.errors import Transient
from shared.kafka.records import Received, WireMessage, pack, unpack
from shared.postgres.rows import COPY_ROWS_MIN, copy_rows

Key = tuple[str, str, str]
NOWHERE: Final[Mapping[tuple[str, int], int]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Which records of a batch are new, which are replays (with their stored answers), which are impostors."""

    new: tuple[Received[Message], ...]
    replayed: tuple[WireMessage, ...]
    impostors: tuple[Received[Message], ...]
    """Records whose id was used before with another body."""


async def admit(tx: AsyncConnection, records: Sequence[Received[Message]]) -> Admission:
    """Split `records` by what the inbox knows; a double inside the batch itself counts once."""
    keys = [record.key for record in records]
    rows = (await tx.exec_driver_sql(_KNOWN, _columns(dict.fromkeys(keys), 3))).all() if keys else ()
    stored: dict[Key, bytes | None] = {tuple(row[:3]): row.published for row in rows}
    bodies: dict[Key, bytes] = {tuple(row[:3]): row.body_sha256 for row in rows}
    new: dict[Key, Received[Message]] = {}
    impostors: list[Received[Message]] = []
    replayed: dict[Key, Sequence[WireMessage]] = {}
    for key, record in zip(keys, records, strict=True):
        if bodies.setdefault(key, record.body_sha256) != record.body_sha256:
            impostors.append(record)
        elif key in stored:
            packed = stored[key]
            replayed[key] = unpack(packed) if packed else ()
        else:
            new.setdefault(key, record)
    return Admission(
        new=tuple(new.values()),
        replayed=tuple(message for messages in replayed.values() for message in messages),
        impostors=tuple(impostors),
    )


async def record(
    tx: AsyncConnection,
    records: Sequence[Received[Message]],
    answers: Mapping[Key, Sequence[WireMessage]],
    next_offsets: Mapping[tuple[str, int], int] = NOWHERE,
) -> None:
    """Mark `records` as applied with their answers, and how far each partition is, which never goes back.

    Raises `Transient` if another transaction applied one of the records first.
    """
    rows = [(*r.key, r.body_sha256, pack(answers[r.key]) if r.key in answers else None) for r in records]
    if len(rows) >= COPY_ROWS_MIN:
        await _copy(tx, rows)
        rows = []
    places = [(topic, partition, offset) for (topic, partition), offset in sorted(next_offsets.items())]
    if rows or places:
        written = (await tx.exec_driver_sql(_RECORD, (*_columns(rows, 5), *_columns(places, 3)))).scalar_one()
        if written != len(rows):
            raise _overtaken()


async def _copy(tx: AsyncConnection, rows: Sequence[tuple[str, str, str, bytes, bytes | None]]) -> None:
    columns = ("borrower_id", "ce_source", "ce_id", "body_sha256", "published")
    try:
        await copy_rows(tx, "inbox", columns, rows)
    except asyncpg.UniqueViolationError as error:
        raise _overtaken() from error


def _overtaken() -> Transient:
    return Transient("another replica applied the same records at the same time")


def _columns(rows: Collection[tuple[Any, ...]], width: int) -> tuple[list[Any], ...]:
    return tuple([row[column] for row in rows] for column in range(width))


_KNOWN: Final = """
SELECT borrower_id, ce_source, ce_id, body_sha256, published
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted(borrower_id, ce_source, ce_id)
JOIN inbox USING (borrower_id, ce_source, ce_id)
"""
_RECORD: Final = """
WITH written AS (
  INSERT INTO inbox (borrower_id, ce_source, ce_id, body_sha256, published)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
  ON CONFLICT DO NOTHING RETURNING 1
), reached AS (
  INSERT INTO applied_offset (topic, partition, next_offset)
  SELECT * FROM unnest($6::text[], $7::integer[], $8::bigint[])
  ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
  WHERE applied_offset.next_offset < excluded.next_offset
)
SELECT count(*) FROM written
"""
