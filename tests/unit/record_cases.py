"""Records to decode: a good one of every kind, and the bad ones that the platform promises to name."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from shared.contracts.examples import AT, EXAMPLES
from shared.contracts.registry import BY_MESSAGE_TYPE, LOAN_EVENTS
from shared.contracts.types import Message
from shared.errors import ReasonCode
from shared.kafka.records import BODY_BYTES_MAX, Headers, Outgoing, WireMessage, encode

NOW = AT
SECRET = "13912345678"
"""Stands for personal data: it must never be in an error's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A Kafka record as the consumer sees it."""

    topic: str = LOAN_EVENTS
    partition: int = 2
    offset: int = 17
    key: bytes | None = None
    value: bytes | None = b"{}"
    headers: Headers = ()


def example(name: str) -> Message:
    return next(message for message in EXAMPLES if type(message).__name__ == name)


def wire(message: Message, *, ce_id: str = "E-1", source: str = "lender/core") -> WireMessage:
    return encode(Outgoing(message=message, ce_id=ce_id, ce_time=AT), source=source)


def record(name: str = "LoanOverdueV1", **changed: Any) -> Record:
    """The example of type `name` as it lies in the log."""
    message = wire(example(name))
    return replace(
        Record(topic=message.topic, key=message.key, value=message.value, headers=message.headers), **changed
    )


def with_header(name: str, value: bytes | None, of: str = "LoanOverdueV1") -> Record:
    good = record(of)
    return replace(good, headers=(*((n, v) for n, v in good.headers if n != name), (name, value)))


def with_body(of: str = "LoanOverdueV1", **fields: Any) -> Record:
    good = record(of)
    body = {**json.loads(good.value or b"{}"), **fields}
    return replace(good, value=json.dumps(body).encode())


def without_field(name: str, of: str = "LoanOverdueV1") -> Record:
    good = record(of)
    body = {field: value for field, value in json.loads(good.value or b"{}").items() if field != name}
    return replace(good, value=json.dumps(body).encode())


def of_bytes(length: int) -> Record:
    """The example with a field of padding that makes its body so long."""
    bare = len(with_body(padding="").value or b"")
    return with_body(padding="x" * (length - bare))


def at(instant: Any, of: str = "LoanOverdueV1") -> Record:
    return with_header("ce_time", instant.isoformat().encode(), of)


def structured(of: str = "LoanOverdueV1", **fields: Any) -> Record:
    """The example in structured mode, with `fields` of the envelope changed (None: left out)."""
    good = record(of)
    envelope = {
        "specversion": "1.0",
        "id": "E-1",
        "source": "lender/core",
        "type": BY_MESSAGE_TYPE[type(example(of))].ce_type,
        "time": AT.isoformat(),
        "data": json.loads(good.value or b"{}"),
        **fields,
    }
    value = json.dumps({name: value for name, value in envelope.items() if value is not None}).encode()
    return replace(good, value=value, headers=(("content-type", b"application/cloudevents+json; charset=utf-8"),))


def _points(value: Any, kind: str = "mobile") -> list[dict[str, Any]]:
    return [{"contact_point_id": "P-1", "kind": kind, "value": value}]


BAD: dict[str, tuple[ReasonCode, Callable[[], Record]]] = {
    "an unknown event type": ("unknown_event_type", lambda: with_header("ce_type", b"lender.loan-forgotten.v1")),
    "a known type on another topic": ("unknown_event_type", lambda: record(topic="contact.outcomes.v1")),
    "a newer version": ("unsupported_version", lambda: with_header("ce_type", b"lender.loan-overdue.v2")),
    "no type": ("missing_header", lambda: with_header("ce_type", b"")),
    "no id": ("missing_header", lambda: with_header("ce_id", b"")),
    "a null header where one is needed": ("missing_header", lambda: with_header("ce_source", None)),
    "no headers at all": ("missing_header", lambda: record(headers=())),
    "an id of 300 characters": ("bad_header", lambda: with_header("ce_id", b"x" * 300)),
    "an id with a line feed": ("bad_header", lambda: with_header("ce_id", b"E-1\nE-2")),
    "an id that isn't ASCII": ("bad_header", lambda: with_header("ce_id", "事件".encode())),
    "another version of CloudEvents": ("bad_header", lambda: with_header("ce_specversion", b"0.3")),
    "a time that isn't one": ("bad_header", lambda: with_header("ce_time", b"yesterday")),
    "a time without an offset": ("bad_header", lambda: with_header("ce_time", b"2026-09-16T02:00:00")),
    "a time that UTC doesn't have": ("bad_header", lambda: with_header("ce_time", b"0001-01-01T00:00:00+14:00")),
    "a header that isn't UTF-8": ("not_utf8_header", lambda: with_header("ce_source", b"lender/\xff\xfe")),
    "any other header that isn't UTF-8": ("not_utf8_header", lambda: with_header("x-lender-branch", b"\xc3\x28")),
    "a header whose name isn't UTF-8": ("not_utf8_header", lambda: with_header("branch-\udcff", b"east")),
    "no body": ("empty_body", lambda: record(value=None)),
    "a body of nothing": ("empty_body", lambda: record(value=b"")),
    "a body of 256 KiB and a byte": ("body_too_large", lambda: of_bytes(BODY_BYTES_MAX + 1)),
    "a body of 1 MiB": ("body_too_large", lambda: record(value=b" " * (1024 * 1024))),
    "a body that isn't JSON": ("not_json", lambda: record(value=b"<loan/>")),
    "a body that is cut off": ("not_json", lambda: record(value=b'{"borrower_id": "B-1')),
    "a body with a byte order mark": ("not_json", lambda: record(value=b"\xef\xbb\xbf{}")),
    "a body that isn't UTF-8": ("not_json", lambda: record(value=b'{"borrower_id": "\xff"}')),
    "half a surrogate pair": ("not_json", lambda: record(value=b'{"borrower_id": "\\ud800"}')),
    "half a surrogate pair in bytes": ("not_json", lambda: record(value=b'{"borrower_id": "\xed\xa0\x80"}')),
    "a number that isn't JSON": ("not_json", lambda: record(value=b'{"borrower_id": "B-1", "days_past_due": NaN}')),
    "nesting without end": ("not_json", lambda: record(value=b'{"borrower_id": "B-1", "x": ' + b"[" * 100_000)),
    "a list": ("schema_mismatch", lambda: record(value=b"[]")),
    "null": ("schema_mismatch", lambda: record(value=b"null")),
    "a missing field": ("schema_mismatch", lambda: without_field("currency")),
    "a text where a number belongs": ("schema_mismatch", lambda: with_body(days_past_due=SECRET)),
    "a number where a text belongs": ("schema_mismatch", lambda: with_body(loan_id=int(SECRET))),
    "an amount with a fraction": ("schema_mismatch", lambda: with_body("PaymentReceivedV1", amount_minor=1.5)),
    "an amount as a float": ("schema_mismatch", lambda: with_body("PaymentReceivedV1", amount_minor=53500.0)),
    "an amount as a text": ("schema_mismatch", lambda: with_body("PaymentReceivedV1", amount_minor="53500")),
    "a negative amount": ("schema_mismatch", lambda: with_body("PaymentReceivedV1", amount_minor=-1)),
    "a negative amount inside": ("schema_mismatch", lambda: with_body(overdue={"fees_minor": -1})),
    "a payment of nothing": ("schema_mismatch", lambda: with_body("PaymentReceivedV1", amount_minor=0)),
    "an amount of 400 digits": ("schema_mismatch", lambda: with_body("PaymentReceivedV1", amount_minor=10**399)),
    "an amount beyond any loan": ("schema_mismatch", lambda: with_body("PaymentReceivedV1", amount_minor=2**62)),
    "a word that isn't in the list": ("schema_mismatch", lambda: with_body("LoanClosedV1", reason=f"'{SECRET}\"")),
    "an id that ends with a line feed": ("schema_mismatch", lambda: with_body(loan_id="L-1\n")),
    "an id with a blank": ("schema_mismatch", lambda: with_body(loan_id=f"L {SECRET}")),
    "an empty id": ("schema_mismatch", lambda: with_body(loan_id="")),
    "a NUL character in a text": ("schema_mismatch", lambda: with_body("PaymentReversedV1", reason=f"{SECRET}\0")),
    "more overdue than outstanding": (
        "schema_mismatch",
        lambda: with_body(overdue={"principal_minor": 2}, outstanding={"principal_minor": 1}),
    ),
    "an address without an @": (
        "schema_mismatch",
        lambda: with_body("BorrowerUpdatedV1", contact_points=_points(SECRET, "email")),
    ),
    "a time of day that isn't one": (
        "schema_mismatch",
        lambda: with_body("ConsentChangedV1", kind="inconvenient", start="24:00"),
    ),
    "a time of day in other digits": (
        "schema_mismatch",
        lambda: with_body("ConsentChangedV1", kind="inconvenient", start="\u0661\u0662:00"),
    ),
    "an opt-out of no channel": ("schema_mismatch", lambda: without_field("channel", "ConsentChangedV1")),
    "an instant without an offset": (
        "schema_mismatch",
        lambda: with_body("RestrictionChangedV1", effective_from="2026-09-16T02:00:00"),
    ),
    "the key of another borrower": ("key_mismatch", lambda: record(key=b"B-2")),
    "a key that isn't UTF-8": ("key_mismatch", lambda: record(key=b"\xff\xff")),
    "an unknown currency": ("unknown_currency", lambda: with_body("PaymentReceivedV1", currency="XXX")),
    "an unknown currency of a loan": ("unknown_currency", lambda: with_body("LoanRegisteredV1", currency="ZZZ")),
    "an unknown zone": ("unknown_zone", lambda: with_body("BorrowerUpdatedV1", zones=["Asia/Beijing"])),
    "the machine's own zone": ("unknown_zone", lambda: with_body("BorrowerUpdatedV1", zones=["localtime"])),
    "a zone that is a path": ("unknown_zone", lambda: with_body("BorrowerUpdatedV1", zones=["../../etc/passwd"])),
    "an unknown region": ("unknown_region", lambda: with_body("BorrowerUpdatedV1", region="XX")),
    "a region that says that it is unknown": ("unknown_region", lambda: with_body("BorrowerUpdatedV1", region="ZZ")),
    "a union of countries": ("unknown_region", lambda: with_body("BorrowerUpdatedV1", region="EU")),
    "two numbers under one id": (
        "schema_mismatch",
        lambda: with_body("BorrowerUpdatedV1", contact_points=[*_points("+8613800138000"), *_points("+8613800138001")]),
    ),
    "a number of two digits": (
        "invalid_phone_number",
        lambda: with_body("BorrowerUpdatedV1", contact_points=_points("+86")),
    ),
    "a number that nobody can have": (
        "invalid_phone_number",
        lambda: with_body("BorrowerUpdatedV1", contact_points=_points("+8610000000000")),
    ),
    "a number without its country": (
        "invalid_phone_number",
        lambda: with_body("BorrowerUpdatedV1", contact_points=_points(SECRET)),
    ),
    "a number with letters": (
        "invalid_phone_number",
        lambda: with_body("BorrowerUpdatedV1", contact_points=_points("+86abcdefghijk")),
    ),
    "a number in other digits": (
        "invalid_phone_number",
        lambda: with_body("BorrowerUpdatedV1", contact_points=_points("+86\u0661\u0663\u0668\u0660\u0660")),
    ),
    "30 February": ("schema_mismatch", lambda: with_body(as_of="2026-02-30")),
    "a loan of the year 1": ("impossible_date", lambda: with_body("LoanRegisteredV1", opened_on="0001-01-01")),
    "a due date of the year 9999": ("impossible_date", lambda: with_body("LoanRegisteredV1", next_due_on="9999-12-31")),
    "a due date after the snapshot": ("impossible_date", lambda: with_body(oldest_unpaid_due_on="2026-09-17")),
    "an overdue amount that was never due": ("impossible_date", lambda: with_body(oldest_unpaid_due_on=None)),
    "an end before its beginning": (
        "impossible_date",
        lambda: with_body("RestrictionChangedV1", effective_until="2026-01-01T00:00:00Z"),
    ),
    "an end that UTC doesn't have": (
        "impossible_date",
        lambda: with_body("RestrictionChangedV1", effective_until="9999-12-31T23:59:59-12:00"),
    ),
    "a contact in the year 1": (
        "impossible_date",
        lambda: with_body("ExternalContactMadeV1", made_at="0001-01-01T00:00:00+14:00"),
    ),
    "a payment of the year 1": (
        "impossible_date",
        lambda: with_header("ce_time", b"0001-01-01T12:00:00+00:00", "PaymentReceivedV1"),
    ),
    "eleven minutes ahead": ("time_ahead", lambda: at(NOW + timedelta(minutes=10, seconds=1))),
    "a payment eleven minutes ahead": (
        "time_ahead",
        lambda: at(NOW + timedelta(minutes=10, seconds=1), "PaymentReceivedV1"),
    ),
    "more than 800 days old": ("time_too_old", lambda: at(NOW - timedelta(days=800, seconds=1))),
    "structured, without an id": ("schema_mismatch", lambda: structured(id=None)),
    "structured, without data": ("schema_mismatch", lambda: structured(data=None)),
    "structured, of an unknown type": ("unknown_event_type", lambda: structured(type="lender.loan-forgotten.v1")),
    "structured, with a bad body": ("schema_mismatch", lambda: structured(data={"borrower_id": "B-1001"})),
    "structured, not JSON": (
        "not_json",
        lambda: record(value=b"{", headers=(("content-type", b"application/cloudevents+json"),)),
    ),
    "structured, not UTF-8": (
        "not_json",
        lambda: record(value=b'{"id": "\xff"}', headers=(("content-type", b"application/cloudevents+json"),)),
    ),
    "structured, nested without end": (
        "not_json",
        lambda: record(
            value=b'{"data": ' + b"[" * 100_000 + b"]" * 100_000,
            headers=(("content-type", b"application/cloudevents+json"),),
        ),
    ),
    "structured, an id that is a number": ("schema_mismatch", lambda: structured(id=int(SECRET))),
}
