"""A polled batch in the consumer's hands: what could be decoded, what couldn't, and how far it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.contracts.types import Message
from shared.errors import Poison
from shared.kafka.dead_letters import is_for_another_group
from shared.kafka.fuse import Fuse, Partition
from shared.kafka.records import RawRecord, Received, decode_known

Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A record for the dead letters."""

    record: RawRecord
    poison: Poison


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One polled batch, opened: `decoded` are the records that some handler takes, in order of topic, then log.

    A partition whose fuse blows ends there: `next_offsets` says where each one is to go on.
    """

    decoded: tuple[Received[Message], ...]
    refused: tuple[Refused, ...]
    next_offsets: Mapping[Partition, int]
    records: tuple[RawRecord, ...]
    """All that was looked at, in order."""
    fuse: Fuse
    """The counts before this batch."""

    def refuse(self, received: Received[Any], poison: Poison) -> Refused:
        """`received` can't be handled after all."""
        wanted = place(received)
        return Refused(record=next(r for r in self.records if place(r) == wanted), poison=poison)

    def fuse_after(self, refused: Sequence[Refused]) -> Fuse:
        """The counts after this batch, of which `refused` went to the dead letters."""
        counts = self.fuse.copy()
        if not refused and not counts.any():
            return counts
        reasons = {place(each.record): each.poison.reason for each in refused}
        for record in self.records:
            reason = reasons.get(place(record)) if reasons else None
            partition = (record.topic, record.partition)
            if reason is None:
                counts.good(partition)
            else:
                counts.bad(partition, reason)
        return counts


def place(record: RawRecord | Received[Any]) -> Place:
    """Where a record lies."""
    return (record.topic, record.partition, record.offset)


def open_batch(
    records: Sequence[RawRecord],
    *,
    group: str,
    known: frozenset[type[Message]],
    priority: Mapping[str, int],
    fuse: Fuse,
    now: datetime,
) -> Batch:
    """Decode `records`; those that are nobody's business here are passed over, those that can't be read refused."""
    counts = fuse.copy()
    decoded: list[Received[Message]] = []
    refused: list[Refused] = []
    looked_at: list[RawRecord] = []
    next_offsets: dict[Partition, int] = {}
    for record in sorted(records, key=lambda r: priority[r.topic]):
        partition = (record.topic, record.partition)
        if counts.blown(partition):
            continue
        next_offsets[partition] = record.offset + 1
        if is_for_another_group(record.headers, group):
            continue
        looked_at.append(record)
        try:
            received = decode_known(record, known, now=now)
        except Poison as poison:
            refused.append(Refused(record=record, poison=poison))
            counts.bad(partition, poison.reason)
        else:
            counts.good(partition)
            if received is not None:
                decoded.append(received)
    return Batch(
        decoded=tuple(decoded),
        refused=tuple(refused),
        next_offsets=next_offsets,
        records=tuple(looked_at),
        fuse=fuse,
    )
