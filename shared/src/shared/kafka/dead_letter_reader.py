"""Reads the dead-letter topics from their beginning to where they end now, without a consumer group."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiokafka.errors import KafkaError

from shared.contracts.operator_actions import DeadLetterAccessedV1
from shared.contracts.registry import OPERATOR_ACTIONS, TOPICS
from shared.errors import Rejection
from shared.kafka.dead_letters import MARKS, PREFIX, REDRIVE_COUNT, SUFFIX
from shared.kafka.log_reader import read_to_end
from shared.kafka.records import Headers

READ_RECORDS_MAX: Final = 100_000
Origin = tuple[str, int, int, str]
"""The record that was refused, and the service that refused it."""
HIDDEN: Final = "***"
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._:\-]{1,96}")
_FIELD: Final = re.compile(r"[a-z][a-z_]{0,40}")
_HEADER: Final = re.compile(r"[A-Za-z0-9._:/+\-]{1,200}")
_NUMBER: Final = re.compile(r"\+?\d{7,}")
_PLAIN_FIELDS: Final = re.compile(
    r".*_id|.*_on|.*_at|.*_from|.*_until|as_of|currency|kind|channel|language|region|holder"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead letter; `partition` and `offset` are those of the record that was refused (-1: not known)."""

    place: str
    topic: str
    partition: int
    offset: int
    group: str
    reason: str
    detail: str
    at: str
    redrive_count: int
    """How often it was driven again: on its way here, and since it is here."""
    is_driven_again: bool
    """Since it is here: if it is refused again, there is a later letter of the same record."""
    key: bytes | None
    value: bytes
    headers: Headers

    @property
    def borrower_id(self) -> str:
        """The key, if it can be a borrower's id."""
        text = (self.key or b"").decode("utf-8", "replace")
        return text if _IDENTIFIER.fullmatch(text) else "unknown"

    def summary(self) -> dict[str, Any]:
        """What may be shown to anyone."""
        names = ("place", "topic", "partition", "offset", "group", "reason", "detail", "at", "redrive_count")
        return {**{name: getattr(self, name) for name in names}, "bytes": len(self.value)}

    def shown_headers(self, *, revealed: bool = False) -> dict[str, str]:
        """The CloudEvents headers, as far as they look like what they should be; the sender's others only revealed."""
        shown = {}
        for name, value in self.headers:
            if not name.startswith(PREFIX):
                text = (value or b"").decode("utf-8", "backslashreplace")
                plain = name.startswith("ce_") and _HEADER.fullmatch(text) and not _NUMBER.search(text)
                shown[name] = text if revealed or plain or name in MARKS else HIDDEN
        return shown


def masked(value: bytes) -> Any:
    """The body with every text masked but ids, dates, codes; a body that isn't JSON is only measured."""
    try:
        return _mask(json.loads(value), "")
    except (ValueError, RecursionError):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}


def _mask(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {
            key if _FIELD.fullmatch(key) else f"{HIDDEN} {number}": _mask(inner, key)
            for number, (key, inner) in enumerate(value.items(), start=1)
        }
    if isinstance(value, list):
        return [_mask(inner, name) for inner in value]
    if isinstance(value, str):
        plain = _PLAIN_FIELDS.fullmatch(name) and _IDENTIFIER.fullmatch(value)
        return value if plain and not _NUMBER.fullmatch(value) else HIDDEN
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # An amount may be shown; a number of that length anywhere else may be a telephone's.
        return value if name.endswith("_minor") or abs(value) < 10**6 else HIDDEN
    return value


async def read_all(bootstrap_servers: str) -> list[DeadLetter]:
    """Every dead letter of every topic, by topic, partition and offset; at most `READ_RECORDS_MAX`."""
    topics = [topic + SUFFIX for topic in TOPICS]
    try:
        records = await read_to_end(bootstrap_servers, topics, records_max=READ_RECORDS_MAX)
        actions = await read_to_end(bootstrap_servers, [OPERATOR_ACTIONS], records_max=READ_RECORDS_MAX)
    except KafkaError as error:
        raise Rejection("the Kafka broker can't be reached") from error
    driven = Counter(place for record in actions for place in _driven_again(record))
    records.sort(key=lambda record: (record.topic, record.partition, record.offset))
    return [_letter(record, driven) for record in records]


def _driven_again(record: Any) -> Iterator[Origin]:
    try:
        action = msgspec.json.decode(record.value or b"", type=DeadLetterAccessedV1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # another action, or what went to the dead letters itself
    if action.action == "redriven":
        yield action.topic, action.partition, action.offset, action.group or ""


def _letter(record: Any, driven: Mapping[Origin, int]) -> DeadLetter:
    headers = {name: (value or b"").decode("utf-8", "backslashreplace") for name, value in record.headers}
    topic = headers.get(PREFIX + "topic", record.topic.removesuffix(SUFFIX))
    partition = _number(headers.get(PREFIX + "partition"), otherwise=-1)
    offset = _number(headers.get(PREFIX + "offset"), otherwise=-1)
    group = headers.get(PREFIX + "group", "")
    again = driven.get((topic, partition, offset, group), 0)
    return DeadLetter(
        place=f"{record.topic.removesuffix(SUFFIX)}/{record.partition}/{record.offset}",
        topic=topic,
        partition=partition,
        offset=offset,
        group=group,
        reason=headers.get(PREFIX + "reason", ""),
        detail=headers.get(PREFIX + "detail", ""),
        at=headers.get(PREFIX + "at", ""),
        redrive_count=_number(headers.get(REDRIVE_COUNT), otherwise=0) + again,
        is_driven_again=again > 0,
        key=record.key,
        value=record.value or b"",
        headers=record.headers,
    )


def _number(text: str | None, *, otherwise: int) -> int:
    """A header is the sender's: anything may stand in it."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else otherwise
