"""Whatever lies in the log, decoding says what is wrong with it and never anything else."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.examples import AT, EXAMPLES
from shared.contracts.registry import BY_CE_TYPE, TOPICS
from shared.errors import REASON_CODES, Poison
from shared.kafka.records import Outgoing, decode, encode, pack, unpack
from tests.unit.record_cases import NOW, Record, record

CANARY = "13912345678"
names = st.sampled_from([type(message).__name__ for message in EXAMPLES])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(CANARY) | st.just(int(CANARY)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
header_names = st.sampled_from(
    ["ce_id", "ce_source", "ce_type", "ce_time", "ce_specversion", "content-type", "traceparent", "x"]
)
header_values = (
    st.none()
    | st.binary(max_size=40)
    | st.sampled_from(
        [name.encode() for name in BY_CE_TYPE]
        + [b"application/cloudevents+json", b"1.0", AT.isoformat().encode(), b"0001-01-01T00:00:00+23:59"]
    )
)


def refusal(lying: Record) -> Poison | None:
    try:
        decode(lying, now=NOW)
    except Poison as poison:
        return poison
    return None


def check(lying: Record) -> None:
    poison = refusal(lying)
    assert poison is None or poison.reason in REASON_CODES
    assert CANARY not in str(poison)


@given(
    topic=st.sampled_from(TOPICS),
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=300),
    headers=st.lists(st.tuples(header_names, header_values), max_size=8),
)
def test_any_bytes_are_decoded_or_refused(topic: str, key: Any, value: Any, headers: Any) -> None:
    check(Record(topic=topic, key=key, value=value, headers=headers))


@given(name=names, headers=st.lists(st.tuples(header_names, header_values), max_size=4))
def test_any_headers_on_a_good_body_are_decoded_or_refused(name: str, headers: Any) -> None:
    good = record(name)
    check(replace(good, headers=(*good.headers, *headers)))


@settings(max_examples=400)
@given(name=names, data=st.data())
def test_any_value_in_any_field_is_decoded_or_refused_without_quoting_it(name: str, data: st.DataObject) -> None:
    good = record(name)
    body = json.loads(good.value or b"{}")
    place = body
    while True:
        field = data.draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.just(0))
        inner = place[field]
        if not inner or not isinstance(inner, (dict, list)) or data.draw(st.booleans()):
            break
        place = inner
    place[field] = data.draw(json_values)
    check(replace(good, value=json.dumps(body).encode("utf-8", "surrogatepass")))


@given(name=names, field=st.text(min_size=1, max_size=10), value=json_values)
def test_a_field_that_this_version_does_not_know_changes_nothing(name: str, field: str, value: Any) -> None:
    good = record(name)
    body = json.loads(good.value or b"{}")
    if field in body:
        return
    text = json.dumps({**body, field: value}, allow_nan=False) if _finite(value) else json.dumps(body)
    assert decode(replace(good, value=text.encode()), now=NOW).message == decode(good, now=NOW).message


def _finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False).encode()
        msgspec.json.decode(json.dumps(value))
    except (ValueError, UnicodeError, msgspec.DecodeError):
        return False
    return True


@given(
    name=names,
    ce_id=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200),
    source=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200),
    seconds=st.integers(-int(timedelta(days=800).total_seconds()), 600),
    micros=st.integers(-999_999, 0),
)
def test_encoding_and_decoding_is_the_identity(name: str, ce_id: str, source: str, seconds: int, micros: int) -> None:
    message = next(m for m in EXAMPLES if type(m).__name__ == name)
    ce_time = max(AT + timedelta(seconds=seconds, microseconds=micros), AT - timedelta(days=800))
    sent = encode(Outgoing(message=message, ce_id=ce_id, ce_time=ce_time), source=source)
    (sent,) = unpack(pack([sent]))
    received = decode(Record(topic=sent.topic, key=sent.key, value=sent.value, headers=sent.headers), now=NOW)
    assert (received.message, received.ce_id, received.ce_source) == (message, ce_id, source)
    assert received.ce_time == ce_time
    assert received.ce_time.tzinfo is UTC


@given(instant=st.datetimes(timezones=st.timezones(), allow_imaginary=False), now=st.just(NOW))
def test_any_instant_is_refused_or_in_bounds(instant: datetime, now: datetime) -> None:
    good = record("PaymentReceivedV1")
    headers = tuple((n, instant.isoformat().encode() if n == "ce_time" else v) for n, v in good.headers)
    lying = replace(good, headers=headers)
    poison = refusal(lying)
    if poison is None:
        received = decode(lying, now=now)
        assert received.ce_time <= now + timedelta(minutes=10)
        assert received.aged == (received.ce_time < now - timedelta(days=800))
    else:
        assert poison.reason in ("bad_header", "time_ahead", "impossible_date")


@pytest.mark.parametrize("depth", [10, 500, 2_000, 60_000])
def test_nesting_of_any_depth_is_decoded_or_refused(depth: int) -> None:
    body = b'{"x": ' + b'{"x": ' * depth + b"1" + b"}" * depth + b", " + (record().value or b"")[1:]
    check(record(value=body))
