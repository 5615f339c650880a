"""Facts come before what is decided on them, and neither a stream of facts nor a stuck partition stops decisions."""

import asyncio
from typing import Any

import msgspec
import pytest

from shared.contracts import AttemptSubmittedV1
from shared.contracts.examples import AT
from shared.contracts.registry import ATTEMPTS, LOAN_EVENTS
from shared.kafka.consumer import Consumer
from shared.kafka.draining import Batch, DrainingConsumer
from shared.kafka.fuse import FUSE_RECORDS
from shared.kafka.records import Outgoing, WireMessage, encode
from tests.toy_service import Replica, until
from tests.toy_world import ToyWorld, changed, example_of, payment


def attempt(number: int) -> WireMessage:
    message = msgspec.structs.replace(example_of(AttemptSubmittedV1), borrower_id=f"B-{number}")
    return encode(Outgoing(message=message, ce_id=f"A-{number}", ce_time=AT), source="decorum/scheduler")


async def applied(world: ToyWorld) -> list[tuple[str, str]]:
    return await world.query("SELECT topic, ce_id FROM entry ORDER BY entry_id")


async def until_decided(world: ToyWorld, number: int) -> None:
    async def enough() -> bool:
        return sum(topic == ATTEMPTS for topic, _ in await applied(world)) >= number

    await until(enough, f"{number} attempts are decided")


def deciding(world: ToyWorld) -> Replica:
    return world.replica(last_topics=(ATTEMPTS,))


async def test_a_backlog_of_facts_is_drained_before_the_first_attempt(world: ToyWorld) -> None:
    await world.send(*(attempt(n) for n in range(50)))
    await world.send(*(payment(n, borrower=f"B-{n % 50}") for n in range(5_000)))
    async with deciding(world).running():
        await until_decided(world, 50)
    topics = [topic for topic, _ in await applied(world)]
    assert topics == [LOAN_EVENTS] * 5_000 + [ATTEMPTS] * 50


async def test_a_steady_stream_of_facts_does_not_hold_up_attempts(world: ToyWorld) -> None:
    async with deciding(world).running() as replica:
        decided = asyncio.Event()

        async def facts_without_end() -> int:
            number = 0
            while not decided.is_set():
                await world.send(*(payment(number + n, borrower=f"B-{n}") for n in range(20)))
                number += 20
            return number

        stream = asyncio.create_task(facts_without_end())
        try:
            await world.send(*(attempt(n) for n in range(20)))
            await until_decided(world, 20)
            assert replica.service.facts_lag_seconds() < 30
        finally:
            decided.set()
            facts = await stream
        await world.until_applied(facts + 20)


async def test_a_paused_fact_partition_counts_as_lag_and_holds_nothing_up(world: ToyWorld) -> None:
    async with deciding(world).running() as replica:
        service = replica.service

        async def fused() -> bool:
            return bool(service.consumer.state.fused)

        async def behind() -> bool:
            return service.facts_lag_seconds() >= 1

        assert service.facts_lag_seconds() < 1
        await world.send(*(changed(payment(n), value=b"{") for n in range(FUSE_RECORDS)), partition=5)
        await until(fused, "the fuse blows")
        await until(behind, "the lag of facts is told")
        await world.send(*(attempt(n) for n in range(5)))
        await until_decided(world, 5)


async def test_a_service_that_has_not_reached_the_broker_does_not_know_how_far_behind_it_is(world: ToyWorld) -> None:
    assert deciding(world).service.facts_lag_seconds() == float("inf")


@pytest.mark.parametrize("failure", [AssertionError("Partition is not assigned"), asyncio.CancelledError()])
async def test_a_poll_that_fails_in_an_unforeseen_way_is_made_again(
    world: ToyWorld, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    polls, failures = DrainingConsumer._poll, iter([failure, failure])

    async def poll(consumer: DrainingConsumer, max_records: int | None) -> Batch:
        if (error := next(failures, None)) is not None:
            raise error
        return await polls(consumer, max_records)

    monkeypatch.setattr(DrainingConsumer, "_poll", poll)
    await world.send(payment(1))
    async with world.replica().running():
        await world.until_idle()
    assert await world.entries() == ["E-1"]


async def test_a_batch_in_which_a_client_cancels_its_own_future_is_taken_again(
    world: ToyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    applies, failures = Consumer._transaction, iter([asyncio.CancelledError()])

    async def apply(consumer: Consumer, *arguments: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return await applies(consumer, *arguments)

    monkeypatch.setattr(Consumer, "_transaction", apply)
    await world.send(payment(1))
    async with world.replica().running():
        await world.until_idle()
    assert await world.entries() == ["E-1"]
