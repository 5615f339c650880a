"""Decoding: every bad record has its reason, every good one comes back as it was sent."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.contracts import LoanOverdueV1, PromiseBrokenV1, PromiseKeptV1
from shared.contracts.examples import AT, EXAMPLES
from shared.contracts.registry import AGELESS, BY_MESSAGE_TYPE
from shared.errors import REASON_CODES, Poison
from shared.kafka.records import Outgoing, Received, decode, encode, pack, unpack
from shared.money import MINOR_DIGITS
from tests.unit.record_cases import (
    BAD,
    NOW,
    SECRET,
    Record,
    at,
    example,
    of_bytes,
    record,
    structured,
    wire,
    with_body,
    with_header,
)

EVERY_TYPE = [type(message).__name__ for message in EXAMPLES]


def refusal(bad: Record) -> Poison:
    with pytest.raises(Poison) as caught:
        decode(bad, now=NOW)
    return caught.value


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_is_refused_with_its_reason(case: str) -> None:
    reason, make = BAD[case]
    poison = refusal(make())
    assert poison.reason == reason
    assert poison.reason in REASON_CODES


@pytest.mark.parametrize("case", BAD)
def test_an_error_never_quotes_the_body(case: str) -> None:
    poison = refusal(BAD[case][1]())
    assert SECRET not in f"{poison} {poison.detail}"


def test_an_error_names_the_field_that_is_wrong() -> None:
    assert refusal(with_body(days_past_due="six")).detail == "Expected `int`, got `str` at $.days_past_due"
    assert refusal(with_body("LoanClosedV1", reason="lost")).detail == "Invalid enum value at $.reason"
    assert refusal(with_body(loan_id="L 1")).detail == "Expected `str` matching regex at $.loan_id"


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_what_was_encoded_is_decoded_to_the_same(name: str) -> None:
    received = decode(record(name), now=NOW)
    assert received.message == example(name)
    assert (received.ce_id, received.ce_source, received.ce_time) == ("E-1", "lender/core", AT)
    assert received.ce_type == BY_MESSAGE_TYPE[type(example(name))].ce_type
    assert (received.topic, received.partition, received.offset) == (record(name).topic, 2, 17)
    assert not received.aged


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_structured_mode_says_the_same_as_binary_mode(name: str) -> None:
    binary, packed = decode(record(name), now=NOW), decode(structured(name), now=NOW)
    assert packed.message == binary.message
    assert packed.key == binary.key


def test_a_body_of_exactly_256_kib_is_taken() -> None:
    largest = of_bytes(256 * 1024)
    assert len(largest.value or b"") == 256 * 1024
    assert decode(largest, now=NOW).message == example("LoanOverdueV1")


def test_an_added_field_is_not_an_error() -> None:
    assert decode(with_body(branch="east", officer={"id": 7}), now=NOW).message == example("LoanOverdueV1")


def test_a_doubled_json_key_counts_as_its_last_value_for_everyone() -> None:
    good = record("PaymentReceivedV1")
    doubled = replace(good, value=b'{"amount_minor": 1, ' + (good.value or b"")[1:])
    assert decode(doubled, now=NOW).message == example("PaymentReceivedV1")


def test_a_record_without_a_key_is_read_by_its_body() -> None:
    assert decode(record(key=None), now=NOW).borrower_id == "B-1001"


@pytest.mark.parametrize("name", sorted(message_type.__name__ for message_type in AGELESS))
def test_late_money_and_late_protection_are_kept_and_marked(name: str) -> None:
    assert decode(at(NOW - timedelta(days=4_000), name), now=NOW).aged
    assert not decode(at(NOW - timedelta(days=800), name), now=NOW).aged


def test_the_bounds_of_time_themselves_are_inside() -> None:
    for instant in (NOW + timedelta(minutes=10), NOW - timedelta(days=800)):
        assert decode(at(instant), now=NOW).ce_time == instant


def test_a_time_in_another_offset_is_the_same_instant() -> None:
    received = decode(with_header("ce_time", b"2026-09-16T10:00:00+08:00"), now=NOW)
    assert received.ce_time == AT
    assert received.ce_time.utcoffset() == timedelta(0)


def test_the_bodys_hash_tells_two_types_with_the_same_body_apart() -> None:
    kept = example("PromiseKeptV1")
    fields = {name: getattr(kept, name) for name in kept.__struct_fields__}
    hashes = set()
    for message in (PromiseKeptV1(**fields), PromiseBrokenV1(**fields)):
        sent = wire(message)
        lying = Record(topic=sent.topic, key=sent.key, value=sent.value, headers=sent.headers)
        hashes.add(decode(lying, now=NOW).body_sha256)
    assert len(hashes) == 2
    assert all(len(each) == hashlib.sha256().digest_size for each in hashes)


def test_a_trace_travels_from_cause_to_answer_and_a_broken_one_is_left_out() -> None:
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answers = []
    for value in (trace, "痕".encode(), b"x" * 300):
        cause = decode(with_header("traceparent", value), now=NOW)
        answer = encode(Outgoing(message=cause.message, ce_id="A-1", ce_time=AT, cause=cause), source="decorum/test")
        answers.append(dict(answer.headers).get("traceparent"))
    assert answers == [trace, None, None]


def test_what_is_packed_is_unpacked_to_the_same() -> None:
    messages = [wire(message, ce_id=f"E-{number}") for number, message in enumerate(EXAMPLES)]
    assert unpack(pack(messages)) == messages


def test_state_is_ordered_by_time_then_source_then_id() -> None:
    def received(seconds: int, source: str, ce_id: str) -> Received[LoanOverdueV1]:
        sent = wire(example("LoanOverdueV1"), ce_id=ce_id, source=source)
        headers = tuple(
            (n, (AT + timedelta(seconds=seconds)).isoformat().encode() if n == "ce_time" else v)
            for n, v in sent.headers
        )
        return decode(Record(key=sent.key, value=sent.value, headers=headers), now=NOW)  # type: ignore[return-value]

    keys = [received(*each).order_key for each in ((0, "b", "2"), (0, "b", "1"), (0, "a", "9"), (-5, "z", "z"))]
    assert sorted(keys) == [keys[3], keys[2], keys[1], keys[0]]


def test_every_currency_of_the_table_is_accepted() -> None:
    for code in MINOR_DIGITS:
        assert decode(with_body("PaymentReceivedV1", currency=code), now=NOW).message


def test_a_restriction_may_have_no_end_in_sight() -> None:
    decode(with_body("RestrictionChangedV1", effective_until="9999-12-31T23:59:59Z"), now=NOW)


def test_an_instant_is_written_in_utc_whatever_zone_it_was_given_in() -> None:
    shanghai = datetime.fromisoformat("2026-09-16T10:00:00+08:00")
    sent = encode(Outgoing(message=example("LoanClosedV1"), ce_id="E", ce_time=shanghai), source="s")
    assert dict(sent.headers)["ce_time"] == shanghai.astimezone(UTC).isoformat().encode()
    assert json.loads(sent.value)["reason"] == "paid"
