"""Records that can't be handled, kept as they came: original bytes and headers, where from, for whom, and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.contracts.registry import CONTRACTS
from shared.errors import Poison
from shared.kafka.forgiving import readable
from shared.kafka.records import Headers, RawRecord, WireMessage

SUFFIX: Final = ".dead-letter"
PREFIX: Final = "decorum_dead_letter_"
REDRIVE_GROUP: Final = "decorum_redrive_group"
REDRIVE_COUNT: Final = "decorum_redrive_count"
MARKS: Final = (REDRIVE_GROUP, REDRIVE_COUNT)
GROUPS: Final = frozenset(reader.encode() for contract in CONTRACTS for reader in contract.readers)
"""The consumer groups of the platform: the services' names."""
REDRIVE_COUNT_MAX: Final = 5
REDRIVE_RECORDS_MAX: Final = 1_000


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
            *((readable(name), value) for name, value in record.headers if not name.startswith(PREFIX)),
            *((PREFIX + name, value.encode()) for name, value in facts.items()),
        ),
    )


def is_for_another_group(headers: Headers, group: str) -> bool:
    """Whether a re-driven record is meant for a consumer group other than `group`.

    Only one of the platform's groups counts: with any other name the record is everybody's, so a header that a
    sender made up never makes a record disappear (who has it already answers from the inbox).
    """
    for name, value in headers:
        if name == REDRIVE_GROUP:
            return value is not None and value in GROUPS and value != group.encode()
    return False


def redriven(topic: str, key: bytes | None, value: bytes, headers: Headers, *, group: str, count: int) -> WireMessage:
    """The record as it was, back on its topic, marked for the one group that refused it and with its count."""
    return WireMessage(
        topic=topic,
        key=key or b"",
        value=value,
        headers=(
            *((name, text) for name, text in headers if not name.startswith(PREFIX) and name not in MARKS),
            (REDRIVE_GROUP, group.encode()),
            (REDRIVE_COUNT, str(count).encode()),
        ),
    )
