"""`decorum events`: every line is checked before the first one leaves, and what left is what stood in the file."""

import json
from pathlib import Path

import pytest

from shared.contracts.registry import LOAN_EVENTS
from tests.toy_world import ToyWorld
from tests.unit.record_cases import BAD, SECRET, Record, structured

STRUCTURED_CASES = [case for case in BAD if case.startswith("structured")]


def line(record: Record) -> str:
    return (record.value or b"").decode("utf-8", "surrogateescape")


def good(number: int, **fields: object) -> str:
    return line(structured("PaymentReceivedV1", id=f"E-{number}", **fields))


def write(folder: Path, *lines: str) -> str:
    path = folder / "events.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    return str(path)


async def published(world: ToyWorld) -> int:
    return len(await world.read(LOAN_EVENTS))


async def test_a_bad_line_is_named_with_its_reason_and_nothing_is_published(world: ToyWorld, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        good(1),
        "not json",
        "",
        line(structured("PaymentReceivedV1", type="lender.payment-imagined.v1")),
        line(structured("PaymentReceivedV1", time="2026-09-16T03:00:00Z")),
        good(2, data={"borrower_id": "B-1", "amount_minor": SECRET}),
    )
    said = await world.decorum("events", "publish", file)
    assert said.code == 1
    assert said.err.splitlines() == [
        "events.jsonl:2: not_json",
        "events.jsonl:4: unknown_event_type: ce_type",
        "events.jsonl:5: time_ahead: ce_time",
        "events.jsonl:6: schema_mismatch: Expected `int`, got `str` at $.amount_minor",
    ]
    assert said.out == "nothing published: 4 of 5 lines are bad (--skip-bad publishes the good ones)\n"
    assert SECRET not in said.out + said.err
    assert await published(world) == 0


@pytest.mark.parametrize("case", STRUCTURED_CASES)
async def test_every_bad_event_is_refused_before_it_leaves(world: ToyWorld, tmp_path: Path, case: str) -> None:
    reason, make = BAD[case]
    said = await world.decorum("events", "publish", write(tmp_path, line(make())), "--json")
    (bad,) = json.loads(said.out)["bad"]
    assert (said.code, bad["line"], bad["reason"]) == (1, 1, reason)
    assert await published(world) == 0


async def test_one_id_for_two_bodies_in_one_file_is_refused(world: ToyWorld, tmp_path: Path) -> None:
    other = json.loads(good(1))
    other["data"]["amount_minor"] = 7
    said = await world.decorum("events", "publish", write(tmp_path, good(1), good(1), json.dumps(other)))
    assert said.err == "events.jsonl:3: id_reused_with_other_body: an earlier line has the same id\n"
    assert await published(world) == 0


async def test_the_good_lines_can_be_published_all_the_same(world: ToyWorld, tmp_path: Path) -> None:
    said = await world.decorum("events", "publish", write(tmp_path, "{", good(1), good(2)), "--skip-bad")
    assert (said.code, said.out) == (1, f"2 published to {LOAN_EVENTS}, 1 bad\n")
    assert await published(world) == 2


async def test_checking_alone_publishes_nothing(world: ToyWorld, tmp_path: Path) -> None:
    said = await world.decorum("events", "publish", write(tmp_path, good(1)), "--check")
    assert (said.code, said.out) == (0, "1 good, 0 bad, nothing published (--check)\n")
    assert await published(world) == 0


async def test_a_body_leaves_byte_for_byte_with_fields_that_nobody_here_knows(world: ToyWorld, tmp_path: Path) -> None:
    event = json.loads(good(1))
    event["data"]["branch"] = "东城"
    text = json.dumps(event, ensure_ascii=False)
    said = await world.decorum("events", "publish", write(tmp_path, text))
    assert said.code == 0
    (record,) = await world.read(LOAN_EVENTS)
    assert json.loads(record.value)["branch"] == "东城"
    assert record.value.decode() in text


async def test_a_file_that_is_published_twice_is_applied_once(world: ToyWorld, tmp_path: Path) -> None:
    file = write(tmp_path, *(good(number) for number in range(2_500)))
    for _ in range(2):
        said = await world.decorum("events", "publish", file)
        assert said.out == f"2500 published to {LOAN_EVENTS}, 0 bad\n"
    async with world.replica().running():
        await world.until_idle()
    assert len(await world.entries()) == 2_500
    assert not await world.dead_letters()


async def test_the_printed_examples_are_events_that_can_be_published(world: ToyWorld, tmp_path: Path) -> None:
    examples = await world.decorum("events", "example")
    file = write(tmp_path, *examples.out.splitlines())
    said = await world.decorum("events", "publish", file, "--json")
    assert json.loads(said.out) == {"published": 9, "good": 9, "bad": []}
    one = await world.decorum("events", "example", "payment-received", "--borrower", "B-7")
    assert json.loads(one.out)["data"]["borrower_id"] == "B-7"
    unknown = await world.decorum("events", "example", "payment-imagined")
    assert unknown.err.startswith("there is no event payment-imagined; there are loan-registered, loan-overdue,")


async def test_a_broker_that_is_away_is_said_in_one_line(world: ToyWorld, tmp_path: Path) -> None:
    said = await world.decorum(
        "events", "publish", write(tmp_path, good(1)), DECORUM_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1"
    )
    assert (said.code, said.err) == (2, "the Kafka broker can't be reached")
