"""What a service has already applied, by idempotency key, with the messages that it answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.types import Message
from shared.errors import Transient
from shared.kafka.records import Received, WireMessage, pack, unpack
from shared.postgres.platform_tables import inbox
from shared.postgres.rows import select_matching

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
    keys = [{"borrower_id": r.borrower_id, "ce_source": r.ce_source, "ce_id": r.ce_id} for r in records]
    columns = ("borrower_id", "ce_source", "ce_id", "body_sha256", "published")
    rows = await select_matching(tx, inbox, keys, columns=columns)
    stored = {(row.borrower_id, row.ce_source, row.ce_id): row for row in rows}
    bodies: dict[Key, bytes] = {key: bytes(row.body_sha256) for key, row in stored.items()}
    new: dict[Key, Received[Message]] = {}
    impostors: list[Received[Message]] = []
    replayed: dict[Key, Sequence[WireMessage]] = {}
    for record in records:
        known = bodies.setdefault(record.key, record.body_sha256)
        if known != record.body_sha256:
            impostors.append(record)
        elif record.key in stored:
            packed = stored[record.key].published
            replayed[record.key] = unpack(packed) if packed else ()
        else:
            new.setdefault(record.key, record)
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
    offsets = sorted(next_offsets.items())
    arguments = (
        [r.borrower_id for r in records],
        [r.ce_source for r in records],
        [r.ce_id for r in records],
        [r.body_sha256 for r in records],
        [pack(answers[r.key]) if r.key in answers else None for r in records],
        [topic for (topic, _), _ in offsets],
        [partition for (_, partition), _ in offsets],
        [offset for _, offset in offsets],
    )
    written = (await tx.exec_driver_sql(_RECORD, arguments)).scalar_one()
    if written != len(records):
        raise Transient("another replica applied the same records at the same time")


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
