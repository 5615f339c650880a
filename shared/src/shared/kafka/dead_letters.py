"""Records that can't be handled, kept as they came: original bytes and headers, where from, for whom, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from shared.errors import Poison
from shared.kafka.records import Headers, RawRecord, WireMessage

SUFFIX: Final = ".dead-letter"
PREFIX: Final = "decorum_dead_letter_"
REDRIVE_GROUP: Final = "decorum_redrive_group"
REDRIVE_COUNT: Final = "decorum_redrive_count"


def dead_letter(record: RawRecord, *, poison: Poison, group: str, at: datetime) -> WireMessage:
    """The message for `<topic>.dead-letter`; headers that start with `decorum_dead_letter_` are ours."""
    facts: Mapping[str, str] = {
        "reason": poison.reason,
        "detail": poison.detail[:300],
        "group": group,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "at": at.isoformat(),
    }
    return WireMessage(
        topic=record.topic + SUFFIX,
        key=record.key or b"",
        value=record.value or b"",
        headers=(
            *((name, value) for name, value in record.headers if not name.startswith(PREFIX)),
            *((PREFIX + name, value.encode()) for name, value in facts.items()),
        ),
    )


def is_for_another_group(headers: Headers, group: str) -> bool:
    """Whether a re-driven record is meant for a consumer group other than `group`."""
    return any(name == REDRIVE_GROUP and value != group.encode() for name, value in headers)


def original(headers: Sequence[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    """The headers that the record had before it became a dead letter."""
    return tuple((name, value) for name, value in headers if not name.startswith(PREFIX))
