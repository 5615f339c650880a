"""`decorum stop`, `resume` and `stops`: an order is valid, of something that there is, and said as it came out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from decorum_local import LocalPlatform
from shared.contracts import StopLiftedV1, StopOrderedV1
from shared.contracts.registry import OPERATOR_ACTIONS
from shared.contracts.types import Message
from shared.kafka.records import decode
from shared.postgres.migrations import migrate
from tests.commands import Said
from tests.toy_world import ToyWorld

ID_FORM = "an id is 1 to 96 letters, digits and . _ : - without a space"


class Desk:
    """An operator's desk. Time is the system's: the order of orders goes over all tests, as their topic does."""

    def __init__(self, world: ToyWorld) -> None:
        self._world = world

    async def order(self, *arguments: str, reason: str = "x", **environment: str) -> Said:
        return await self._world.decorum(*arguments, "--reason", reason, DECORUM_CLOCK="system", **environment)

    async def in_force(self) -> list[dict[str, str]]:
        listed = await self._world.decorum("stops", "--json", DECORUM_CLOCK="system")
        return [json.loads(line) for line in listed.out.splitlines()]

    async def actions(self) -> list[Message]:
        records = await self._world.read(OPERATOR_ACTIONS)
        return [decode(record, now=datetime.now(UTC)).message for record in records]


@pytest.fixture(scope="module")
def gate_database(platform: LocalPlatform) -> str:
    """The URL of a gate's database that has read nothing yet, beside topics without an order."""
    platform.empty_topics()
    platform.drop_databases(["compliance_gate"])
    platform.create_databases(["compliance_gate"])
    url = platform.database_url("compliance_gate")
    asyncio.run(migrate("compliance_gate", url))
    return url


@pytest.fixture
async def desk(world: ToyWorld, gate_database: str) -> AsyncIterator[Desk]:
    """Where nothing is stopped, before and after."""
    desk = Desk(world)
    yield desk
    for each in await desk.in_force():
        scope = ("--all",) if each["kind"] == "all" else (f"--{each['kind']}", each["value"])
        assert (await desk.order("resume", *scope)).code == 0


@pytest.mark.parametrize(
    ("options", "kind", "value", "key"),
    [
        (("--all",), "all", "all", "all"),
        (("--channel", "voice"), "channel", "voice", "all"),
        (("--provider", "sms-http"), "provider", "sms-http", "all"),
        (("--strategy", "courteous-high"), "strategy", "courteous-high", "all"),
        (("--borrower", "B-7"), "borrower", "B-7", "B-7"),
    ],
)
async def test_a_stop_and_its_end_are_published_with_who_and_why(
    desk: Desk, options: tuple[str, ...], kind: str, value: str, key: str
) -> None:
    stopped = await desk.order("stop", *options, "--by", "compliance-1", reason="客户投诉")
    resumed = await desk.order("resume", *options, "--by", "compliance-2", "--json", reason="settled")
    order, lift = await desk.actions()
    assert isinstance(order, StopOrderedV1)
    assert isinstance(lift, StopLiftedV1)
    assert (order.kind, order.value, order.borrower_id) == (kind, value, key)
    assert (order.reason, order.ordered_by) == ("客户投诉", "compliance-1")
    assert (lift.stop_id, lift.reason, lift.lifted_by) == (order.stop_id, "settled", "compliance-2")
    assert order.ordered_at <= lift.lifted_at
    assert stopped.out.splitlines()[1] == f"it holds until: decorum resume {' '.join(options)} --reason …"
    assert json.loads(resumed.out)["resumed"] == {"kind": kind, "value": value}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give exactly one of --all, --channel, --provider, --strategy, --borrower"),
        (("--all", "--channel", "sms"), "give exactly one of --all, --channel, --provider, --strategy, --borrower"),
        (("--channel", "pigeon"), "--channel is sms or voice"),
        (("--borrower", "B 7"), f"--borrower: {ID_FORM}"),
        (("--borrower", ""), f"--borrower: {ID_FORM}"),
        (("--strategy", "x" * 97, "--unknown"), f"--strategy: {ID_FORM}"),
    ],
)
async def test_a_stop_that_nobody_would_obey_is_refused(desk: Desk, options: tuple[str, ...], said: str) -> None:
    refused = await desk.order("stop", *options)
    assert (refused.code, refused.err) == (2, said)
    assert not await desk.actions()


async def test_a_stop_needs_a_reason(world: ToyWorld, desk: Desk) -> None:
    assert (await world.decorum("stop", "--all")).code == 2
    assert (await desk.order("stop", "--all", reason="x" * 501)).code == 2
    assert (await desk.order("stop", "--all", reason="  ")).err == "--reason must say why"
    assert not await desk.actions()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--provider", "sms-htpp"), "there is no provider sms-htpp; there are sms-http, voice-http"),
        (
            ("--strategy", "courteous"),
            "there is no strategy courteous; there are courteous-low, courteous-medium, courteous-high",
        ),
    ],
)
async def test_a_stop_of_what_there_is_not_is_refused_unless_it_is_meant(
    desk: Desk, options: tuple[str, ...], said: str
) -> None:
    refused = await desk.order("stop", *options)
    assert (refused.code, refused.err) == (2, f"{said} (--unknown stops it all the same)")
    assert not await desk.actions()

    assert (await desk.order("stop", *options, "--unknown")).code == 0
    [order] = await desk.actions()
    assert isinstance(order, StopOrderedV1)
    assert order.value == options[1]
    assert (await desk.order("resume", *options)).code == 0


async def test_a_stop_of_a_borrower_whom_nobody_knows_yet_is_given_and_says_so(desk: Desk, gate_database: str) -> None:
    strange = await desk.order("stop", "--borrower", "B-8")
    assert strange.code == 0
    assert strange.err.splitlines()[0].startswith("borrower B-8 isn't known yet: ")
    [order] = await desk.actions()
    assert isinstance(order, StopOrderedV1)
    assert order.value == "B-8"

    connection = await asyncpg.connect(gate_database.replace("+asyncpg", ""))
    # What a stop or another service told of a borrower leaves a row too, and makes nobody known.
    await connection.execute("INSERT INTO borrower (borrower_id) VALUES ('B-8')")
    assert json.loads((await desk.order("stop", "--borrower", "B-8", "--json")).out)["known"] is False
    await connection.execute(
        "UPDATE borrower SET event_at = now(), event_source = 's', event_id = '1' WHERE borrower_id = 'B-8'"
    )
    await connection.close()
    known = await desk.order("stop", "--borrower", "B-8")
    assert (known.code, known.err) == (0, "")
    assert json.loads((await desk.order("stop", "--borrower", "B-8", "--json")).out)["known"] is True


async def test_the_names_are_those_that_this_platform_is_set_to(desk: Desk) -> None:
    own = {"COMPLIANCE_GATE_SMS_PROVIDER": "carrier-a"}
    assert (await desk.order("stop", "--provider", "carrier-a", **own)).code == 0
    refused = await desk.order("stop", "--provider", "sms-http", **own)
    assert "there are carrier-a, voice-http" in refused.err


async def test_what_is_not_stopped_cannot_be_resumed(desk: Desk) -> None:
    resume = ("resume", "--channel", "sms")
    idle = await desk.order(*resume)
    assert (idle.code, idle.out) == (1, "")
    assert idle.err == "there is no stop of channel sms in force; nothing is stopped"

    await desk.order("stop", "--borrower", "B-7")
    await desk.order("stop", "--all")
    refused = await desk.order(*resume)
    assert refused.err == "there is no stop of channel sms in force; in force: --all, --borrower B-7"
    assert all(isinstance(action, StopOrderedV1) for action in await desk.actions())

    assert (await desk.order("resume", "--all")).code == 0
    assert (await desk.order("resume", "--all")).code == 1
    assert (await desk.order("resume", "--all", "--unknown")).code == 0


async def test_a_stop_that_the_topic_no_longer_keeps_is_known_from_the_gate(desk: Desk, gate_database: str) -> None:
    connection = await asyncpg.connect(gate_database.replace("+asyncpg", ""))
    for value, in_force in (("retired-high", True), ("retired-low", False)):
        await connection.execute(
            "INSERT INTO stop (borrower_id, stop_id, kind, value, in_force, reason, event_at, event_source, event_id) "
            "VALUES ('all', $1, 'strategy', $1, $2, 'long ago', '2020-07-01T00:00:00Z', 'decorum/operator', '1')",
            value,
            in_force,
        )
    await connection.close()
    [high] = await desk.in_force()
    assert (high["value"], high["since"], high["reason"]) == ("retired-high", "2020-07-01T00:00:00Z", "long ago")
    assert (await desk.order("resume", "--strategy", "retired-low")).code == 1
    assert (await desk.order("resume", "--strategy", "retired-high")).code == 0
    assert not await desk.in_force()


async def test_what_is_stopped_is_listed_the_widest_first(world: ToyWorld, desk: Desk) -> None:
    assert (await world.decorum("stops", DECORUM_CLOCK="system")).out == "nothing is stopped\n"
    for options in (("--borrower", "B-7"), ("--strategy", "courteous-low"), ("--all",)):
        await desk.order("stop", *options, reason=f"because of {options[-1]}")
    assert [(each["kind"], each["value"], each["reason"]) for each in await desk.in_force()] == [
        ("all", "all", "because of --all"),
        ("strategy", "courteous-low", "because of courteous-low"),
        ("borrower", "B-7", "because of B-7"),
    ]
    said = (await world.decorum("stops", DECORUM_CLOCK="system")).out.splitlines()
    assert [line.partition(", since ")[0] for line in said] == [
        "every contact",
        "strategy courteous-low",
        "borrower B-7",
    ]


async def test_a_stop_needs_no_database_and_a_resumption_does(desk: Desk) -> None:
    away = {"DECORUM_DATABASE_URL": "postgresql+asyncpg://u@127.0.0.1:1/postgres"}
    assert (await desk.order("stop", "--all", **away)).code == 0
    doubted = await desk.order("stop", "--borrower", "B-7", **away)
    assert doubted.code == 0
    assert "whether borrower B-7 is known can't be told now" in doubted.err
    assert json.loads((await desk.order("stop", "--borrower", "B-7", "--json", **away)).out)["known"] is None
    refused = await desk.order("resume", "--all", **away)
    assert (refused.code, refused.err.partition(":")[0]) == (2, "the gate's database can't be read")
    assert (await desk.order("resume", "--all", "--unknown", **away)).code == 0
