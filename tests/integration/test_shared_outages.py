"""A broker or a database that is away: the service waits, says so, and goes on with nothing lost and nothing twice."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from decorum_local import LocalPlatform
from shared.kafka.records import WireMessage
from tests.toy_service import Replica, until
from tests.toy_world import ToyWorld, payment

PAYMENTS = 3_000
BORROWERS = 20


def payments(start: int, number: int) -> list[WireMessage]:
    return [payment(n, borrower=f"B-{n % BORROWERS}") for n in range(start, start + number)]


async def until_said(replica: Replica, name: str, text: str = "") -> None:
    async def said() -> bool:
        reasons = await replica.reasons()
        return name in reasons and text in reasons[name]

    await until(said, f"/readyz names {name} {text}")


async def all_applied_once(world: ToyWorld, number: int) -> None:
    entries = await world.entries()
    assert len(entries) == len(set(entries)) == number
    assert await world.totals() == {f"B-{n}": 100 * number // BORROWERS for n in range(BORROWERS)}
    assert {ce_id for ce_id, _ in await world.answers()} == set(await world.answered())
    assert len(set(await world.answers())) == number
    assert not await world.dead_letters()


async def test_a_service_starts_before_its_servers_and_goes_on_when_they_come(
    platform: LocalPlatform, world: ToyWorld
) -> None:
    await world.send(*payments(0, 100))
    await asyncio.to_thread(platform.kill_broker)
    await asyncio.to_thread(platform.kill_postgres)
    try:
        async with world.replica().running(with_partitions=False) as replica:
            await until_said(replica, "kafka")
            await until_said(replica, "database")
            assert (await replica.get("/livez"))[0] == 200
            await asyncio.to_thread(platform.start_postgres)
            await asyncio.to_thread(platform.start_broker)
            await replica.until_ready()
            await world.until_applied(100)
    finally:
        await asyncio.to_thread(restore, platform)
    await all_applied_once(world, 100)


@dataclass(frozen=True)
class Server:
    """A server that goes and comes back, and what /readyz calls it."""

    name: str
    kill: Callable[[LocalPlatform], None]
    start: Callable[[LocalPlatform], None]


@pytest.mark.parametrize(
    "server",
    [
        Server("database", LocalPlatform.kill_postgres, LocalPlatform.start_postgres),
        Server("kafka", LocalPlatform.kill_broker, LocalPlatform.start_broker),
    ],
    ids=lambda server: str(server.name),
)
async def test_a_server_that_is_killed_in_the_middle_of_a_batch_costs_nothing(
    platform: LocalPlatform, world: ToyWorld, server: Server
) -> None:
    try:
        async with world.replica().running() as replica:
            await world.send(*payments(0, PAYMENTS))
            await world.until_applied(1)
            await asyncio.to_thread(server.kill, platform)
            await until_said(replica, server.name)
            assert (await replica.get("/livez"))[0] == 200
            await asyncio.to_thread(server.start, platform)
            await world.until_applied(PAYMENTS)
            await replica.until_ready()
            await world.until_idle()
    finally:
        await asyncio.to_thread(restore, platform)
    await all_applied_once(world, PAYMENTS)


async def test_a_schema_that_is_missing_is_named(world: ToyWorld) -> None:
    await world.query("DROP TABLE inbox")
    async with world.replica().running(with_partitions=False) as replica:
        await until_said(replica, "database", "run `decorum db migrate`")


def restore(platform: LocalPlatform) -> None:
    """Whatever a failed test left dead."""
    if not platform.postgres.process.is_running():
        platform.start_postgres()
    if not platform.kafka.broker().is_running():
        platform.start_broker()
