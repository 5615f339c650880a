"""What the gate does at its own pace, its migrations, and what a person answers to held attempts."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from compliance_gate.adapters import tables
from compliance_gate.adapters.exports import decisions, latest_zone
from compliance_gate.adapters.held_attempts import held_attempts
from compliance_gate.loops import PermitWatch, StopSweep
from decorum_local import LocalPlatform
from shared.contracts import (
    ContactAllowedV1,
    ContactHeldV1,
    HeldReviewedV1,
    PermitRevokedV1,
    ReplyReceivedV1,
    StopLiftedV1,
    StopOrderedV1,
)
from shared.kafka.records import unpack
from shared.postgres.engine import create_engine
from shared.postgres.migrations import downgrade, migrate
from tests.databases import migrated_database
from tests.gate_service_world import NOW, World, attempt, message_of, received
from tests.works import KeptWork


@pytest.fixture
def database(platform: LocalPlatform) -> Iterator[str]:
    with migrated_database(platform, "compliance_gate") as url:
        yield url


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    engine = create_engine(database, application_name="test", connections_max=4)
    yield World(engine)
    await engine.dispose()


def sweep_of(world: World) -> tuple[StopSweep, KeptWork]:
    work = KeptWork(world.engine, service="compliance-gate")
    return StopSweep(desk=world.desk, work=work), work


def stop(kind: str, value: str) -> StopOrderedV1:
    return StopOrderedV1(
        borrower_id="all",
        stop_id=f"{kind}-{value}",
        kind=kind,  # type: ignore[arg-type]
        value=value,
        reason="drill",
        ordered_by="me",
        ordered_at=NOW,
    )


async def outbox(engine: AsyncEngine) -> list[PermitRevokedV1]:
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT message FROM outbox ORDER BY outbox_id")
        return [message_of(wire) for row in rows for wire in unpack(row.message)]


@pytest.mark.parametrize(
    ("kind", "value", "stopped"),
    [
        ("all", "all", {"B1-A1", "B1-A2", "B2-A1"}),
        ("channel", "voice", {"B1-A2"}),
        ("strategy", "low", {"B1-A1", "B1-A2", "B2-A1"}),
        ("strategy", "high", set()),
        ("provider", "sms-http", {"B1-A1", "B2-A1"}),
    ],
)
async def test_a_stop_revokes_the_open_permits_of_its_scope_and_no_others(
    world: World, kind: str, value: str, stopped: set[str]
) -> None:
    await world.known("B1", "B2")
    told = await world.take(attempt("B1"), attempt("B1", "B1-A2", channel="voice"), attempt("B2"))
    assert all(isinstance(each, ContactAllowedV1) for each in told)
    await world.take(stop(kind, value))
    sweep, work = sweep_of(world)
    while await sweep.run_once():
        pass
    revoked = await outbox(world.engine)
    assert {attempt_id for each in revoked for attempt_id in each.attempt_ids} == stopped
    assert all(each.reason == "stop" for each in revoked)
    assert bool(work.wakes) == bool(stopped)
    assert await sweep.run_once() == 0


async def test_a_lifted_stop_revokes_nothing_and_a_new_one_of_the_same_scope_holds(world: World) -> None:
    await world.known("B1")
    await world.take(stop("channel", "sms"))
    lifted = StopLiftedV1(
        borrower_id="all", stop_id="channel-sms", kind="channel", value="sms", reason="", lifted_by="me", lifted_at=NOW
    )
    world.clock.move_to(NOW + timedelta(minutes=1))
    await world.take(lifted)
    [told] = await world.take(attempt("B1"))
    assert isinstance(told, ContactAllowedV1)
    sweep, _ = sweep_of(world)
    assert await sweep.run_once() == 0
    world.clock.move_to(NOW + timedelta(minutes=2))
    await world.take(received(stop("channel", "sms"), at=world.clock.now(), ce_id="again"))
    sweep.pacer.call()
    assert await sweep.run_once() == 1


async def test_a_permit_that_is_long_over_and_has_no_end_is_counted_and_keeps_its_slot(world: World) -> None:
    await world.known("B1")
    await world.take(attempt("B1"))

    async def overdue(minutes: int) -> float | None:
        world.clock.move_to(NOW + timedelta(minutes=minutes))
        work = KeptWork(world.engine, service="compliance-gate")
        watch = PermitWatch(desk=world.desk, work=work, overdue=timedelta(minutes=60))
        assert await watch.run_once() == 0
        assert REGISTRY.get_sample_value("decorum_gate_permits_open") == 1
        return REGISTRY.get_sample_value("decorum_gate_permits_overdue")

    assert await overdue(89) == 0
    assert await overdue(91) == 1
    [told] = await world.take(attempt("B1", "B1-A2"))
    assert not isinstance(told, ContactAllowedV1)


async def test_held_attempts_wait_until_a_person_answers(world: World) -> None:
    await world.known("B1")
    distress = ReplyReceivedV1(borrower_id="B1", reply_id="R", channel="sms", received_at=NOW, intent="distress")
    await world.take(distress)
    [held] = await world.take(attempt("B1"))
    assert isinstance(held, ContactHeldV1)
    [waiting] = await held_attempts(world.engine, limit=10)
    assert (waiting.decision_id, waiting.deciding_rule) == (held.decision_id, held.reason)
    assert waiting.sentence_en.startswith("A person must look")
    assert waiting.zone == await latest_zone(world.engine, "B1") == "Asia/Shanghai"
    assert await latest_zone(world.engine, "nobody") == "UTC"
    assert not await held_attempts(world.engine, limit=10, decision_id="another")
    review = HeldReviewedV1(
        borrower_id="B1",
        decision_id=held.decision_id,
        attempt_id="B1-A1",
        submission_number=1,
        approved=False,
        reviewed_by="li",
        reason="leave her in peace",
        reviewed_at=NOW,
    )
    await world.take(review)
    assert not await held_attempts(world.engine, limit=10)
    [line] = [line async for line in decisions(world.engine)]
    assert (line["verdict"], line["permit_expires_at"]) == ("held", None)


async def test_the_migrations_make_the_tables_that_the_code_writes_and_go_back(database: str) -> None:
    engine = create_engine(database, application_name="test", connections_max=1)
    try:
        async with engine.connect() as connection:
            made = await connection.run_sync(_columns)
    finally:
        await engine.dispose()
    for table in tables.metadata.tables.values():
        assert made[table.name] == {column.name: column.nullable for column in table.columns}, table.name
    await downgrade("compliance_gate", database, revision="base")
    await migrate("compliance_gate", database)


def _columns(connection: sa.Connection) -> dict[str, dict[str, bool]]:
    inspector = sa.inspect(connection)
    return {
        name: {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
        for name in inspector.get_table_names()
    }
