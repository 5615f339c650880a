"""What a service has already applied, by idempotency key, with the messages that it answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.contracts.types import Message
from shared.errors import Transient
from shared.kafka.records import Received, WireMessage, pack, unpack
from shared.postgres.platform_tables import applied_offset, inbox
from shared.postgres.rows import Upsert, insert_rows, select_matching

Key = tuple[str, str, str]


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
    tx: AsyncConnection, records: Sequence[Received[Message]], answers: Mapping[Key, Sequence[WireMessage]]
) -> None:
    """Mark `records` as applied with their answers; raises `Transient` if another transaction was faster."""
    rows = [
        {
            "borrower_id": r.borrower_id,
            "ce_source": r.ce_source,
            "ce_id": r.ce_id,
            "body_sha256": r.body_sha256,
            "published": pack(answers[r.key]) if r.key in answers else None,
        }
        for r in records
    ]
    written = await insert_rows(tx, inbox, rows, returning=("ce_id",))
    if len(written) != len(rows):
        raise Transient("another replica applied the same records at the same time")


async def record_offsets(tx: AsyncConnection, next_offsets: Mapping[tuple[str, int], int]) -> None:
    """Remember how far each partition has been applied; it never goes back."""
    rows = [
        {"topic": topic, "partition": partition, "next_offset": offset}
        for (topic, partition), offset in sorted(next_offsets.items())
    ]
    keep_highest = Upsert(
        keys=("topic", "partition"),
        update=("next_offset",),
        where="applied_offset.next_offset < excluded.next_offset",
    )
    await insert_rows(tx, applied_offset, rows, on_conflict=keep_highest)
