"""The consumer on real Kafka and PostgreSQL: once applied, answered as stored, and one bad record harms no other."""

import pytest
from aiokafka import AIOKafkaProducer

from shared.contracts import LoanClosedV1
from shared.contracts.examples import AT
from shared.contracts.registry import LOAN_EVENTS
from shared.kafka.records import Outgoing, WireMessage, encode
from tests.toy_world import ToyWorld, changed, example_of, payment


async def test_records_are_applied_once_and_answered(world: ToyWorld) -> None:
    async with world.replica().running():
        await world.send(*(payment(n, borrower=f"B-{n % 5}") for n in range(200)))
        await world.until_idle()
    assert await world.totals() == {f"B-{n}": 4_000 for n in range(5)}
    assert len(await world.entries()) == 200
    assert len({ce_id for ce_id, _ in await world.answers()}) == 200


async def test_doubles_in_one_batch_and_across_batches_are_applied_once_and_answered_as_stored(
    world: ToyWorld,
) -> None:
    await world.send(payment(1), payment(2), payment(1), payment(1))
    async with world.replica().running():
        await world.until_idle()
        await world.send(payment(2), payment(3))
        await world.until_idle()
        await world.send(payment(1))
        await world.until_idle()
    assert await world.totals() == {"B-1": 300}
    assert sorted(await world.entries()) == ["E-1", "E-2", "E-3"]
    answers = await world.answers()
    # The replays published again, and what they said is what was said first.
    assert len(answers) > 3
    assert len(set(answers)) == len({ce_id for ce_id, _ in answers}) == 3


async def test_an_id_with_another_body_goes_to_the_dead_letters(world: ToyWorld) -> None:
    other = payment(1, amount_minor=999)
    places = await world.send(payment(1), other)
    async with world.replica().running():
        await world.until_idle()
        places += await world.send(other, payment(2))
        await world.until_idle()
    assert await world.totals() == {"B-1": 200}
    letters = await world.dead_letters()
    assert [letter.reason for letter in letters] == ["id_reused_with_other_body"] * 2
    assert [letter.origin for letter in letters] == [places[1], places[2]]


async def test_poison_in_the_middle_of_a_batch_is_kept_as_it_came_and_the_rest_goes_on(world: ToyWorld) -> None:
    poison = changed(payment(2), value=b"{not json \xff", x__lender=b"\x00\x01", x__nothing=None)
    places = await world.send(payment(1), poison, payment(3))
    async with world.replica().running():
        await world.until_idle()
    assert await world.entries() == ["E-1", "E-3"]
    (letter,) = await world.dead_letters()
    assert (letter.value, letter.key) == (poison.value, poison.key)
    assert letter.headers == list(poison.headers)
    assert (letter.reason, letter.origin) == ("not_json", places[1])
    assert letter.facts["topic"] == LOAN_EVENTS
    assert letter.facts["at"].startswith("2026-09-16T")


async def test_what_a_handler_refuses_is_a_dead_letter_with_its_reason(world: ToyWorld) -> None:
    await world.send(*(payment(n, loan="poison" if n in (3, 4, 11) else "L-1") for n in range(20)))
    async with world.replica().running():
        await world.until_idle()
    assert sorted(await world.entries()) == sorted(f"E-{n}" for n in range(20) if n not in (3, 4, 11))
    letters = await world.dead_letters()
    assert [(letter.reason, letter.facts["detail"]) for letter in letters] == [("currency_mismatch", "loan_id")] * 3


async def test_what_breaks_a_handler_is_found_and_the_others_are_applied_in_order(world: ToyWorld) -> None:
    guilty = {0, 17, 18, 49}
    await world.send(*(payment(n, loan="defect" if n in guilty else "L-1") for n in range(50)))
    async with world.replica().running():
        await world.until_idle()
    assert await world.entries() == [f"E-{n}" for n in range(50) if n not in guilty]
    assert await world.totals() == {"B-1": 4_600}
    letters = await world.dead_letters()
    assert [letter.reason for letter in letters] == ["handler_error"] * 4
    # The class of the error, never its text, which could quote the record.
    assert {letter.facts["detail"] for letter in letters} == {"ValueError"}


async def test_more_bad_records_than_good_ones_cost_no_good_one(world: ToyWorld) -> None:
    loans = ["poison", "defect", "L-1"]
    await world.send(*(payment(n, borrower=f"B-{n % 7}", loan=loans[n % 3]) for n in range(90)))
    async with world.replica().running():
        await world.until_idle()
    assert sorted(await world.entries()) == sorted(f"E-{n}" for n in range(2, 90, 3))
    assert len(await world.dead_letters()) == 60


async def test_an_old_payment_is_applied(world: ToyWorld) -> None:
    old = b"2020-01-01T00:00:00+00:00"
    await world.send(changed(payment(1), ce_time=old))
    async with world.replica().running():
        await world.until_idle()
    assert await world.totals() == {"B-1": 100}
    assert not await world.dead_letters()


async def test_types_that_nobody_here_handles_are_passed_over(world: ToyWorld) -> None:
    closed = encode(Outgoing(message=example_of(LoanClosedV1), ce_id="C-1", ce_time=AT), source="lender/core")
    await world.send(closed, payment(1))
    async with world.replica().running():
        await world.until_idle()
    assert await world.entries() == ["E-1"]
    assert not await world.dead_letters()


async def test_a_sender_with_another_partitioner_brings_about_the_same_state(world: ToyWorld) -> None:
    for partition in range(6):
        batch = [payment(n, borrower=f"B-{n % 5}") for n in range(200) if n * 7 % 6 == partition]
        await world.send(*batch, partition=partition)
    async with world.replica().running():
        await world.until_idle()
    assert await world.totals() == {f"B-{n}": 4_000 for n in range(5)}
    assert not await world.dead_letters()


async def test_a_record_without_a_key_is_taken(world: ToyWorld) -> None:
    good = payment(1)
    await world.send(WireMessage(topic=good.topic, key=b"", value=good.value, headers=good.headers))
    async with world.replica().running():
        await world.until_idle()
    assert await world.totals() == {"B-1": 100}


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_how_a_sender_compresses_is_its_own_choice(world: ToyWorld, codec: str) -> None:
    sent = [payment(n) for n in range(20)]
    async with AIOKafkaProducer(bootstrap_servers=world.bootstrap_servers, compression_type=codec) as producer:
        for message in sent:
            await producer.send_and_wait(
                message.topic, message.value, key=message.key, headers=list(message.headers), partition=1
            )
    async with world.replica().running():
        await world.until_applied(20)
