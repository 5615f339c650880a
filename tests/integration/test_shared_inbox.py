"""The inbox: who comes second waits, sees what the first one stored, and never applies the same record again."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.contracts import PaymentReceivedV1
from shared.contracts.examples import AT
from shared.errors import Transient
from shared.kafka.records import Received, WireMessage, decode
from shared.postgres import inbox, platform_tables
from shared.postgres.rows import COPY_ROWS_MIN
from tests.toy_world import payment
from tests.unit.record_cases import Record

ONE_STATEMENT, COPIED = COPY_ROWS_MIN - 1, COPY_ROWS_MIN


def received(number: int, *, amount_minor: int = 100) -> Received[PaymentReceivedV1]:
    sent = payment(number, borrower=f"B-{number % 7}", amount_minor=amount_minor)
    record = Record(topic=sent.topic, key=sent.key, value=sent.value, headers=sent.headers, offset=number)
    return decode(record, now=AT)  # type: ignore[return-value]


def answers(records: list[Received[PaymentReceivedV1]]) -> dict[inbox.Key, list[WireMessage]]:
    return {r.key: [payment(r.offset + 1_000)] for r in records if r.offset % 2}


@pytest.fixture
async def engine(database_url: str) -> AsyncEngine:
    made = create_async_engine(database_url, pool_size=4)
    async with made.begin() as tx:
        await tx.run_sync(platform_tables.metadata.create_all)
    return made


@pytest.mark.parametrize("number", [1, ONE_STATEMENT, COPIED, 1_000])
async def test_what_was_recorded_is_known_with_its_answers(engine: AsyncEngine, number: int) -> None:
    records = [received(n) for n in range(number)]
    async with engine.begin() as tx:
        assert len((await inbox.admit(tx, records)).new) == number
        await inbox.record(tx, records, answers(records), {("t", 0): 17, ("t", 1): 4})
    async with engine.begin() as tx:
        again = await inbox.admit(tx, [*records, received(0), received(0, amount_minor=7)])
    assert again.new == ()
    assert list(again.replayed) == [message for stored in answers(records).values() for message in stored]
    assert again.impostors == (received(0, amount_minor=7),)
    await engine.dispose()


@pytest.mark.parametrize("number", [ONE_STATEMENT, COPIED])
async def test_of_two_who_apply_the_same_records_the_second_is_told_to_look_again(
    engine: AsyncEngine, number: int
) -> None:
    records = [received(n) for n in range(number)]
    both_looked = asyncio.Barrier(2)

    async def apply() -> None:
        async with engine.begin() as tx:
            assert len((await inbox.admit(tx, records)).new) == number
            await both_looked.wait()
            await inbox.record(tx, records, answers(records))

    outcomes = await asyncio.gather(apply(), apply(), return_exceptions=True)
    (failure,) = (outcome for outcome in outcomes if outcome is not None)
    assert isinstance(failure, Transient)
    async with engine.begin() as tx:
        assert not (await inbox.admit(tx, records)).new
    await engine.dispose()


async def test_offsets_are_kept_and_never_go_back(engine: AsyncEngine) -> None:
    async def reached() -> list[tuple[str, int, int]]:
        async with engine.begin() as tx:
            rows = await tx.exec_driver_sql("SELECT topic, partition, next_offset FROM applied_offset ORDER BY 1, 2")
            return [tuple(row) for row in rows]

    for offsets in ({("a", 0): 5, ("a", 1): 9}, {("a", 0): 7}, {("a", 0): 6, ("b", 0): 1}, {}):
        async with engine.begin() as tx:
            await inbox.record(tx, [], {}, offsets)
    assert await reached() == [("a", 0, 7), ("a", 1, 9), ("b", 0, 1)]
    await engine.dispose()
