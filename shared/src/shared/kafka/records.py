"""Kafka records as CloudEvents 1.0: decoding what arrives, with a reason for what can't be read, and encoding.

Binary mode (`ce_*` headers, JSON body) is what we write; structured mode (`application/cloudevents+json`) is read too.
Source: CloudEvents Kafka protocol binding 1.0.2.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence, Set
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from shared.contracts import validation
from shared.contracts.registry import AGELESS, BY_CE_TYPE, BY_MESSAGE_TYPE, CONTRACTS, Contract
from shared.contracts.types import Message
from shared.errors import Poison

M = TypeVar("M", bound=Message, covariant=True)
Headers = Sequence[tuple[str, bytes | None]]
"""Kafka's headers as they came: a value may be null."""

BODY_BYTES_MAX: Final = 256 * 1024
AHEAD_MAX: Final = timedelta(minutes=10)
AGE_MAX: Final = timedelta(days=800)
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""No business instant lies before it; an earlier one is a mistake of the sender, not an old event."""
_ID_LENGTH_MAX: Final = 200

_encoder: Final = msgspec.json.Encoder()
_decoders: Final[dict[type[Message], msgspec.json.Decoder[Any]]] = {
    message_type: msgspec.json.Decoder(message_type) for message_type in BY_MESSAGE_TYPE
}


class RawRecord(Protocol):
    """The part of aiokafka's ConsumerRecord that decoding needs."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Received(msgspec.Struct, Generic[M], frozen=True, kw_only=True, gc=False):
    """One decoded record. State built from it is ordered by `order_key`, so late and doubled ones converge.

    `body_sha256` is over type and body: one id may not stand for two events that happen to look alike. `aged` marks
    a record that is kept although it is older than `AGE_MAX`.
    """

    message: M
    ce_id: str
    ce_source: str
    ce_type: str
    ce_time: datetime
    traceparent: str | None
    body_sha256: bytes
    topic: str
    partition: int
    offset: int
    aged: bool

    @property
    def borrower_id(self) -> str:
        """The borrower that the record is about: its Kafka key."""
        return self.message.borrower_id

    @property
    def key(self) -> tuple[str, str, str]:
        """The idempotency key."""
        return (self.message.borrower_id, self.ce_source, self.ce_id)

    @property
    def order_key(self) -> tuple[datetime, str, str]:
        """What state is ordered by."""
        return (self.ce_time, self.ce_source, self.ce_id)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message to publish. `ce_id` is deterministic; `cause` is the record that it answers, where there is one."""

    message: Message
    ce_id: str
    ce_time: datetime
    cause: Received[Message] | None = None


class WireMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message as bytes, ready for the producer and for storage."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes | None], ...]


class _Structured(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    time: str
    data: msgspec.Raw
    traceparent: str | None = None


_ALL_TYPES: Final[frozenset[type[Message]]] = frozenset(BY_MESSAGE_TYPE)
_structured_decoder: Final = msgspec.json.Decoder(_Structured)


def decode(record: RawRecord, *, now: datetime) -> Received[Message]:
    """The typed message of `record`; raises `Poison` with a reason code where there is none to be had, nothing else.

    `now` is the business time that bounds `ce_time`: at most 10 minutes ahead and 800 days back; payments,
    reversals, restrictions and consents are never too old, only marked `aged`.
    """
    received = decode_known(record, _ALL_TYPES, now=now)
    assert received is not None, "every type is known"
    return received


def decode_known(record: RawRecord, known: Set[type[Message]], *, now: datetime) -> Received[Message] | None:
    """As `decode`, but None for a record of a type that is not in `known`: what it says is its readers' business."""
    value = record.value or b""
    if len(value) > BODY_BYTES_MAX:
        raise Poison("body_too_large", f"more than {BODY_BYTES_MAX} bytes")
    if not value:
        raise Poison("empty_body")
    headers = _headers(record.headers)
    if headers.get("content-type", "").lower().startswith("application/cloudevents+json"):
        headers, value = _from_structured(value)
    contract = _contract(headers.get("ce_type"), record.topic)
    if contract.message_type not in known:
        return None
    ce_id, ce_source = _required(headers, "ce_id"), _required(headers, "ce_source")
    if headers.get("ce_specversion", "1.0") != "1.0":
        raise Poison("bad_header", "ce_specversion")
    ce_time = _instant(_required(headers, "ce_time"))
    message = _body(contract, value)
    if record.key is not None and record.key != message.borrower_id.encode():
        raise Poison("key_mismatch")
    validation.check(message)
    return Received(
        message=message,
        ce_id=ce_id,
        ce_source=ce_source,
        ce_type=contract.ce_type,
        ce_time=ce_time,
        traceparent=_traceparent(headers),
        body_sha256=hashlib.sha256(_CE_TYPES[contract.message_type][1] + b"\n" + value).digest(),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        aged=_check_time(ce_time, now, contract),
    )


def _headers(headers: Headers) -> dict[str, str]:
    try:
        for name, _ in headers:
            if not name.isascii():
                name.encode()
        return {name: value.decode() for name, value in headers if value is not None}
    except UnicodeError as error:
        raise Poison("not_utf8_header") from error


def _from_structured(value: bytes) -> tuple[dict[str, str], bytes]:
    try:
        event = _structured_decoder.decode(value)
    except msgspec.ValidationError as error:
        raise Poison("schema_mismatch", f"structured event: {_without_values(error)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Poison("not_json") from error
    headers = {
        "ce_id": event.id,
        "ce_source": event.source,
        "ce_type": event.type,
        "ce_time": event.time,
        "ce_specversion": event.specversion,
    }
    if event.traceparent:
        headers["traceparent"] = event.traceparent
    return headers, bytes(event.data)


def _required(headers: dict[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise Poison("missing_header", name)
    if len(value) > _ID_LENGTH_MAX or not value.isascii() or not value.isprintable():
        raise Poison("bad_header", name)
    return value


def _traceparent(headers: dict[str, str]) -> str | None:
    """A trace is a convenience: one that can't be passed on is left out."""
    value = headers.get("traceparent")
    return value if value and len(value) <= _ID_LENGTH_MAX and value.isascii() else None


def _contract(ce_type: str | None, topic: str) -> Contract:
    if not ce_type:
        raise Poison("missing_header", "ce_type")
    contract = BY_CE_TYPE.get(ce_type)
    if contract is not None and contract.topic == topic:
        return contract
    stem = ce_type.rpartition(".v")[0]
    if any(known.topic == topic and known.ce_type.rpartition(".v")[0] == stem for known in BY_CE_TYPE.values()):
        raise Poison("unsupported_version", "ce_type")
    raise Poison("unknown_event_type", "ce_type")


@lru_cache(maxsize=4_096)
def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Poison("bad_header", "ce_time") from error
    if instant.tzinfo is None:
        raise Poison("bad_header", "ce_time has no offset")
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise Poison("bad_header", "ce_time") from error


def _body(contract: Contract, value: bytes) -> Message:
    try:
        message: Message = _decoders[contract.message_type].decode(value)
    except msgspec.ValidationError as error:
        raise Poison("schema_mismatch", _without_values(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Poison("not_json") from error
    if rb"\u0000" in value and _has_nul(msgspec.to_builtins(message)):
        # JSON allows it and no database can keep it.
        raise Poison("schema_mismatch", "a text has a NUL character")
    return message


_PLACE: Final = re.compile(r" - at `(\$[\w.\[\]]*)`$")


def _without_values(error: msgspec.ValidationError) -> str:
    """What `error` says and of which field, without what it quotes: that is the sender's, and may be personal."""
    text = str(error)
    place = _PLACE.search(text)
    said = re.split(r"""['"]""", text[: place.start()] if place else text)[0].strip()
    return f"{said} at {place[1]}" if place else said


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(inner) for inner in value.values())
    return isinstance(value, (list, tuple)) and any(_has_nul(inner) for inner in value)


def _check_time(ce_time: datetime, now: datetime, contract: Contract) -> bool:
    if ce_time > now + AHEAD_MAX:
        raise Poison("time_ahead", "ce_time")
    if ce_time < EARLIEST:
        raise Poison("impossible_date", "ce_time")
    aged = ce_time < now - AGE_MAX
    if aged and contract.message_type not in AGELESS:
        raise Poison("time_too_old", "ce_time")
    return aged


_SPECVERSION: Final = ("ce_specversion", b"1.0")
_CONTENT_TYPE: Final = ("content-type", b"application/json")
_CE_TYPES: Final = {contract.message_type: ("ce_type", contract.ce_type.encode()) for contract in CONTRACTS}


@lru_cache(maxsize=64)
def _source(source: str) -> tuple[str, bytes]:
    return ("ce_source", source.encode())


@lru_cache(maxsize=4_096)
def _time(instant: datetime) -> tuple[str, bytes]:
    return ("ce_time", instant.astimezone(UTC).isoformat().encode())


def encode(outgoing: Outgoing, *, source: str) -> WireMessage:
    """`outgoing` in binary mode, on the topic of its contract, keyed by its borrower."""
    message_type = type(outgoing.message)
    headers: tuple[tuple[str, bytes | None], ...] = (
        _SPECVERSION,
        ("ce_id", outgoing.ce_id.encode()),
        _source(source),
        _CE_TYPES[message_type],
        _time(outgoing.ce_time),
        _CONTENT_TYPE,
    )
    if outgoing.cause is not None and outgoing.cause.traceparent:
        headers += (("traceparent", outgoing.cause.traceparent.encode()),)
    return WireMessage(
        topic=BY_MESSAGE_TYPE[message_type].topic,
        key=outgoing.message.borrower_id.encode(),
        value=_encoder.encode(outgoing.message),
        headers=headers,
    )


def pack(messages: Iterable[WireMessage]) -> bytes:
    """Wire messages as one value that a row can hold; `unpack` gives them back."""
    return msgspec.msgpack.encode([(m.topic, m.key, m.value, m.headers) for m in messages])


_packed_decoder: Final = msgspec.msgpack.Decoder(list[tuple[str, bytes, bytes, tuple[tuple[str, bytes | None], ...]]])


def unpack(packed: bytes) -> list[WireMessage]:
    """The wire messages that `pack` stored."""
    return [
        WireMessage(topic=topic, key=key, value=value, headers=headers)
        for topic, key, value, headers in _packed_decoder.decode(packed)
    ]
