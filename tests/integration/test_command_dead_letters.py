"""`decorum dead-letters`: masked unless revealed, revealed with an audit, driven again bounded and for one group."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from decorum_local import LocalPlatform
from shared.contracts import BorrowerUpdatedV1, DeadLetterAccessedV1
from shared.contracts.examples import AT
from shared.contracts.registry import OPERATOR_ACTIONS
from shared.kafka.records import Outgoing, WireMessage, decode, encode
from tests.toy_service import until
from tests.toy_world import ToyWorld, changed, example_of, payment

NAME, NUMBER = "王小明", "13912345678"
GROUPS = ("ledger", "notifier")


@pytest.fixture(scope="module")
def service_databases(platform: LocalPlatform) -> Iterator[None]:
    """The databases with the names of two services, empty, for this module's toys."""
    platform.create_topics()
    platform.drop_databases(GROUPS)
    yield
    platform.drop_databases(GROUPS)
    platform.create_databases(GROUPS)


@pytest.fixture
async def worlds(
    platform: LocalPlatform, service_databases: None, tmp_path: Path
) -> AsyncIterator[dict[str, ToyWorld]]:
    """Two services by name, each with a database of its own, and one clock for all."""
    made = {
        name: ToyWorld(
            bootstrap_servers=platform.kafka_bootstrap_servers,
            database_url=platform.database_url(name),
            folder=tmp_path,
            name=name,
        )
        for name in GROUPS
    }
    try:
        for world in made.values():
            await world.open()
        yield made
    finally:
        for world in made.values():
            await world.close()


def personal() -> WireMessage:
    """An update of a borrower whose number is written wrongly, with a number where none belongs."""
    good = encode(Outgoing(message=example_of(BorrowerUpdatedV1), ce_id="U-1", ce_time=AT), source=f"lender/{NUMBER}")
    body = json.loads(good.value)
    body["name"] = NAME
    body["contact_points"][0]["value"] = NUMBER
    body["fax"] = int(NUMBER)
    body[NUMBER] = [NAME, {NAME: NUMBER}]
    return changed(good, value=json.dumps(body).encode(), x__agent=NAME.encode())


async def letters(world: ToyWorld, *options: str) -> list[dict[str, Any]]:
    said = await world.decorum("dead-letters", "list", "--json", *options)
    found = [json.loads(line) for line in said.out.splitlines()]
    return [letter for letter in found if world.is_new(letter["place"])]


async def audits(world: ToyWorld) -> list[DeadLetterAccessedV1]:
    found = [decode(record, now=AT + timedelta(days=2)) for record in await world.read(OPERATOR_ACTIONS)]
    return [each.message for each in found if isinstance(each.message, DeadLetterAccessedV1)]


async def handled(worlds: dict[str, ToyWorld], *messages: WireMessage) -> None:
    """Both services read `messages`."""
    await worlds["ledger"].send(*messages, partition=3)
    async with AsyncExitStack() as stack:
        for world in worlds.values():
            await stack.enter_async_context(world.replica().running())
        for world in worlds.values():
            await world.until_idle()


async def test_what_is_shown_has_no_personal_data_until_it_is_revealed_and_that_is_audited(
    worlds: dict[str, ToyWorld],
) -> None:
    world = worlds["ledger"]
    await handled(worlds, personal())
    mine = await letters(world, "--service", "ledger", "--code", "invalid_phone_number")
    (letter,) = mine
    place = letter["place"]
    assert (letter["reason"], letter["detail"]) == ("invalid_phone_number", "contact_points")

    table = await world.decorum("dead-letters", "list", "--code", "invalid_phone_number")
    assert place in table.out
    assert "look at one: decorum dead-letters show" in table.out
    masked = await world.decorum("dead-letters", "show", place)
    shown = json.loads(masked.out)
    assert shown["body"]["borrower_id"] == "B-1001"
    assert shown["headers"]["ce_type"] == "lender.borrower-updated.v1"
    for said in (table, masked):
        assert NAME not in said.out + said.err
        assert NUMBER not in said.out + said.err

    refused = await world.decorum("dead-letters", "show", place, "--reveal")
    assert (refused.code, refused.out) == (2, "")
    assert not await audits(world)

    revealed = await world.decorum("dead-letters", "show", place, "--reveal", "--reason", "ticket 7", "--by", "an 王")
    assert NAME in json.loads(json.loads(revealed.out)["body"])["name"]
    (audit,) = await audits(world)
    assert (audit.action, audit.reason, audit.accessed_by) == ("revealed", "ticket 7", "an--")
    assert (audit.topic, audit.partition, audit.offset) == (letter["topic"], letter["partition"], letter["offset"])


async def test_a_letter_is_driven_again_for_its_group_alone_once_the_cause_is_mended(
    worlds: dict[str, ToyWorld],
) -> None:
    ledger, notifier = worlds.values()
    early = changed(payment(1), ce_time=b"2026-09-16T02:15:00+00:00")
    await handled(worlds, early)
    (place,) = [x["place"] for x in await letters(ledger, "--service", "ledger", "--code", "time_ahead")]

    advanced = await ledger.decorum("clock", "advance", "1h")
    assert advanced.out.startswith("it is now 2026-09-16T03:")
    said = await ledger.decorum("dead-letters", "redrive", place, "--reason", "their clock was ahead")
    assert (said.code, said.out) == (0, "1 driven again\n")
    async with ledger.replica().running(), notifier.replica().running():
        await ledger.until_applied(1)
        await notifier.until_idle()
        await ledger.until_idle()
    assert await ledger.entries() == ["E-1"]
    # The other service refused it too, and has its own letter; this one was not for it.
    assert await notifier.entries() == []
    assert len(await notifier.dead_letters()) == 1
    (audit,) = await audits(ledger)
    assert (audit.action, audit.borrower_id, audit.group) == ("redriven", "B-1", "ledger")
    counts = {x["group"]: x["redrive_count"] for x in await letters(ledger, "--code", "time_ahead")}
    assert counts == {"ledger": 1, "notifier": 0}


async def test_driving_again_ends_after_five_times_however_it_is_asked(worlds: dict[str, ToyWorld]) -> None:
    world = worlds["ledger"]
    hopeless = changed(payment(1), value=b"{")
    async with world.replica().running():
        await world.send(hopeless)
        await world.until_idle()
        (place,) = [x["place"] for x in await letters(world, "--code", "not_json")]
        for time in range(3):
            said = await world.decorum("dead-letters", "redrive", place, "--reason", f"try {time}")
            assert said.out == "1 driven again\n"
        await world.until_idle()

        async def latest() -> dict[str, Any]:
            return max(await letters(world, "--code", "not_json"), key=lambda letter: letter["offset"])

        async def settled() -> bool:
            return len(await letters(world, "--code", "not_json")) == 4

        await until(settled, "each came back")
        assert (await latest())["redrive_count"] == 3
        for time in range(2):
            await world.decorum("dead-letters", "redrive", (await latest())["place"], "--reason", f"again {time}")
        said = await world.decorum("dead-letters", "redrive", (await latest())["place"], "--reason", "once more")
        assert said.out == "0 driven again\n1 not: driven again 5 times already\n"


async def test_many_are_driven_again_only_when_that_is_asked_for_and_no_more_than_the_limit(
    worlds: dict[str, ToyWorld],
) -> None:
    world = worlds["ledger"]
    await handled(worlds, *(changed(payment(n), ce_source=b"\xff") for n in range(5)))
    asked = await world.decorum("dead-letters", "redrive", "--reason", "x")
    assert (asked.code, asked.err) == (2, "give one place, or --all with what to choose by")
    options = ("--all", "--code", "not_utf8_header", "--service", "notifier", "--limit", "3")
    said = await world.decorum("dead-letters", "redrive", *options, "--reason", "x")
    assert said.out == "3 driven again\n2 more match: run it again, or raise --limit\n"
    assert len(await audits(world)) == 3

    rest = await world.decorum("dead-letters", "redrive", *options, "--reason", "the others")
    assert rest.out.startswith("2 driven again\n3 passed over: driven again before")
    driven = await audits(world)
    assert len({audit.offset for audit in driven}) == len(driven) == 5


async def test_what_is_not_there_is_said_in_one_line(worlds: dict[str, ToyWorld]) -> None:
    world = worlds["ledger"]
    missing = await world.decorum("dead-letters", "show", "lender.loan-events.v1/0/999999")
    assert missing.err == ("there is no dead letter at lender.loan-events.v1/0/999999 (decorum dead-letters list)")
    unknown = await world.decorum("dead-letters", "list", "--code", "bad_luck")
    assert unknown.err.startswith("there is no reason code bad_luck; there are not_json,")
    nothing = await world.decorum("dead-letters", "list", "--code", "currency_mismatch", "--service", "nobody")
    assert nothing.out == "no dead letters of this kind\n"
