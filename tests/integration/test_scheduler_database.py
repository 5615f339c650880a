from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from scheduler.adapters import tables
from scheduler.adapters.store import PostgresDossiers
from scheduler.domain.attempts import after_report
from scheduler.domain.planning import Dossier
from scheduler.handlers.contacts import CONTACT_TYPES, record_contacts
from scheduler.handlers.desk import Desk
from scheduler.handlers.plans import keep_plans
from scheduler.loops import ReleaseLoop
from shared.clock import VirtualClock
from shared.contracts import AttemptSubmittedV1, BorrowerUpdatedV1, Message
from shared.contracts.registry import BY_MESSAGE_TYPE
from shared.kafka.records import Received, unpack
from shared.postgres.engine import create_engine
from shared.postgres.migrations import downgrade, migrate
from tests.unit.scheduler_cases import (
    PLAYBOOK,
    at,
    balance,
    borrower,
    deferred,
    held,
    made,
    not_made,
    opt_out,
    promise,
    reply,
    restriction,
    reviewed,
    unknown,
)
from tests.works import KeptWork


@dataclass
class Replica:
    """One scheduler process without its Kafka side: its own pool, its own release loop."""

    engine: AsyncEngine
    releases: ReleaseLoop
    clock: VirtualClock

    async def learns(self, *messages: Message, ce_time: datetime | None = None) -> None:
        """Handle a batch as the consumer would, in one transaction."""
        batch = [_received(m, ce_time or self.clock.now(), n) for n, m in enumerate(messages)]
        contacts: list[Any] = [r for r in batch if isinstance(r.message, CONTACT_TYPES)]
        others = [r for r in batch if not isinstance(r.message, CONTACT_TYPES)]
        async with self.engine.begin() as tx:
            if others:
                await keep_plans(tx, others, desk=self.releases.desk)
            if contacts:
                await record_contacts(tx, contacts, desk=self.releases.desk)

    async def rows(self, table: sa.Table) -> Sequence[Any]:
        async with self.engine.connect() as tx:
            return (await tx.execute(sa.select(table).order_by(*table.primary_key.columns))).all()

    async def outgoing(self) -> list[AttemptSubmittedV1]:
        """What waits in the outbox."""
        async with self.engine.connect() as tx:
            packed = (await tx.exec_driver_sql("SELECT message FROM outbox ORDER BY outbox_id")).scalars()
            wires = [wire for message in packed for wire in unpack(message)]
        return [msgspec.json.decode(w.value, type=AttemptSubmittedV1) for w in wires if b"attempt_id" in w.value]


def _received(message: Message, ce_time: datetime, number: int) -> Received[Message]:
    return Received(
        message=message,
        ce_id=f"e-{number}-{message!r}"[:90],
        ce_source="core",
        ce_type=BY_MESSAGE_TYPE[type(message)].ce_type,
        ce_time=ce_time,
        traceparent=None,
        body_sha256=b"",
        topic="t",
        partition=0,
        offset=number,
        aged=False,
    )


@pytest.fixture
async def start(database_url: str) -> AsyncIterator[Callable[[], Awaitable[Replica]]]:
    """Starts replicas on one migrated database."""
    await migrate("scheduler", database_url)
    engines: list[AsyncEngine] = []

    async def one() -> Replica:
        engine = create_engine(database_url, application_name="test", connections_max=4)
        engines.append(engine)
        clock = VirtualClock(at(10, 20))
        desk = Desk(store=PostgresDossiers(), playbook=PLAYBOOK, clock=clock)
        releases = ReleaseLoop(desk=desk, work=KeptWork(engine, service="scheduler"), borrowers_max=7)
        return Replica(engine=engine, releases=releases, clock=clock)

    yield one
    for engine in engines:
        await engine.dispose()


async def test_a_confirmation_of_an_opt_out_is_kept_and_handed_over_once_whatever_was_said_again(
    start: Callable[[], Awaitable[Replica]],
) -> None:
    replica = await start()
    desk = replace(replica.releases.desk, playbook=replace(PLAYBOOK, confirms_opt_outs=True))
    replica.releases = replace(replica.releases, desk=desk)
    await replica.learns(borrower(), balance())
    said = {"contact_point_id": "cp-1", "attempt_id": "a-1", "loans": ("l-1",)}
    for minute in (0, 5):
        replica.clock.move_to(at(11, 9, minute))
        await replica.learns(reply("stop", received_at=replica.clock.now(), reply_id=f"reply-{minute}", **said))
        await replica.releases.run_once()
        sent = [s for s in await replica.outgoing() if s.purpose == "opt_out_confirmation"]
        assert [(s.submission_number, s.contact_point_id) for s in sent] == [(1, "cp-1")]
    await replica.learns(made(sent[0], on=at(11, 9, 6)))
    [kept] = [row for row in await replica.rows(tables.attempt) if row.purpose == "opt_out_confirmation"]
    assert (kept.state, kept.due_at) == ("made", at(11, 9))


async def test_the_schema_can_be_made_undone_and_made_again_and_is_what_the_code_writes(database_url: str) -> None:
    await migrate("scheduler", database_url)
    await downgrade("scheduler", database_url, revision="base")
    await migrate("scheduler", database_url)
    engine = create_engine(database_url, application_name="test")
    async with engine.connect() as tx:

        def columns(connection: sa.Connection) -> dict[str, dict[str, bool]]:
            inspector = sa.inspect(connection)
            return {t: {c["name"]: c["nullable"] for c in inspector.get_columns(t)} for t in tables.metadata.tables}

        found = await tx.run_sync(columns)
    await engine.dispose()
    assert found == {t.name: {c.name: bool(c.nullable) for c in t.columns} for t in tables.metadata.tables.values()}


async def test_what_is_stored_comes_back_as_it_was(start: Callable[[], Awaitable[Replica]]) -> None:
    replica = await start()
    later = at(16)
    await replica.learns(
        borrower(),
        balance(),
        balance(loan_id="l-2", currency="USD"),
        restriction("vulnerable", loans=("l-1",)),
        opt_out("voice", contact_point_id="cp-1"),
        promise("broken", on=at(10), grace_ends_at=later),
        reply("other", received_at=at(10)),
    )
    store = PostgresDossiers()
    async with replica.engine.begin() as tx:
        first = (await store.lock(tx, ["b-1"], now=at(11)))["b-1"]
    replica.clock.move_to(at(11, 9))
    await replica.releases.run_once()
    (submission,) = await replica.outgoing()
    await replica.learns(held(submission, on=at(11, 9)), reviewed(submission, on=at(11, 10), approved=True))
    async with replica.engine.begin() as tx:
        second = (await store.lock(tx, ["b-1"], now=at(11)))["b-1"]
    assert second.profile == first.profile
    assert first.profile.person is not None
    assert {c.kind for c in first.profile.circumstances.values()} == {"restriction", "opt_out", "promise", "reply"}
    approved = second.attempts[submission.attempt_id]
    assert (approved.state, approved.submissions, approved.deferred_until) == ("planned", 1, at(11, 10))
    assert approved.approval is not None
    assert approved.approval.approved_by == "ann"


async def test_a_release_writes_submission_and_message_and_reads_the_newest_amounts(
    start: Callable[[], Awaitable[Replica]],
) -> None:
    replica = await start()
    await replica.learns(borrower(), balance())
    await replica.learns(balance(2, overdue_minor=70_000))
    assert await replica.releases.run_once() == 0
    replica.clock.move_to(at(11, 9))
    assert await replica.releases.run_once() == 1
    assert await replica.releases.run_once() == 0
    (submission,) = await replica.outgoing()
    assert (submission.due_minor, submission.loans[0].balance_version) == (70_000, 2)
    assert [(str(r.attempt_id), r.submission_number) for r in await replica.rows(tables.submission)] == [
        (submission.attempt_id, 1)
    ]
    await replica.learns(deferred(submission, on=at(11, 9), until=at(12, 1)))
    assert await replica.releases.next_due_at() == at(12, 1)
    replica.clock.move_to(at(12, 1))
    await replica.releases.run_once()
    assert [s.submission_number for s in await replica.outgoing()] == [1, 2]
    await replica.learns(made(submission, on=at(12, 1)))
    assert [a.state for a in await replica.rows(tables.attempt)] == ["made"]


async def test_replicas_at_once_release_every_attempt_exactly_once(start: Callable[[], Awaitable[Replica]]) -> None:
    replicas = [await start() for _ in range(3)]
    borrowers = [f"b-{n}" for n in range(200)]
    await replicas[0].learns(*(fact for b in borrowers for fact in _facts(b)))
    for replica in replicas:
        replica.clock.move_to(at(11, 9))

    async def until_rest(replica: Replica) -> int:
        released = 0
        while (count := await replica.releases.run_once()) or released < 0:
            released += count
        return released

    shares = await asyncio.gather(*(until_rest(replica) for replica in replicas))
    submissions = await replicas[0].outgoing()
    assert Counter(s.borrower_id for s in submissions) == Counter(borrowers)
    assert sum(shares) == len(borrowers)
    assert len(await replicas[0].rows(tables.submission)) == len(borrowers)


async def test_handlers_and_releases_at_once_neither_deadlock_nor_lose_a_payment(
    start: Callable[[], Awaitable[Replica]],
) -> None:
    one, other = await start(), await start()
    borrowers = [f"b-{n}" for n in range(60)]
    await one.learns(*(fact for b in borrowers for fact in _facts(b)))
    one.clock.move_to(at(11, 9))
    other.clock.move_to(at(11, 9))

    async def release() -> None:
        for _ in range(20):
            await other.releases.run_once()

    async def pay() -> None:
        for start_at in range(0, 60, 20):
            part = list(reversed(borrowers[start_at : start_at + 20]))
            await one.learns(*(_of(b, balance(2, overdue_minor=0)) for b in part))

    await asyncio.gather(release(), pay())
    submissions = await one.outgoing()
    assert all(loan.balance_version == 1 and loan.due_minor > 0 for s in submissions for loan in s.loans)
    assert {row.balance_version for row in await one.rows(tables.loan)} == {2}
    assert not [a for a in await one.rows(tables.attempt) if a.state == "planned"]


async def test_the_database_refuses_a_second_hand_over_under_the_same_number(
    start: Callable[[], Awaitable[Replica]],
) -> None:
    replica = await start()
    await replica.learns(borrower(), balance())
    replica.clock.move_to(at(11, 9))
    await replica.releases.run_once()
    (submission,) = await replica.outgoing()

    async def again(tx: AsyncConnection) -> None:
        await PostgresDossiers().record_submissions(tx, [submission])

    async with replica.engine.connect() as tx:
        with pytest.raises(IntegrityError):
            await again(tx)


async def test_the_lifetime_of_an_attempt_ends_also_when_nobody_looked_in_time(
    start: Callable[[], Awaitable[Replica]],
) -> None:
    replica = await start()
    await replica.learns(borrower(), balance())
    replica.clock.move_to(at(11, 9))
    await replica.releases.run_once()
    (submission,) = await replica.outgoing()
    await replica.learns(deferred(submission, on=at(11, 9), until=at(12, 1)))
    replica.clock.move_to(submission.expires_at + timedelta(hours=1))
    await replica.releases.run_once()
    ended = [a for a in await replica.rows(tables.attempt) if str(a.attempt_id) == submission.attempt_id]
    assert [(a.state, a.end_reason) for a in ended] == [("ended", "expired")]


async def test_a_step_that_is_planned_and_due_in_the_same_release_is_stored_with_its_submission(
    start: Callable[[], Awaitable[Replica]],
) -> None:
    replica = await start()
    await replica.learns(borrower(), balance())
    replica.clock.move_to(at(14, 9))  # the first step's time is over, the second one is due
    await replica.releases.run_once()
    (submission,) = await replica.outgoing()
    rows = [a for a in await replica.rows(tables.attempt) if a.state == "submitted"]
    assert [(str(a.attempt_id), a.step_key, a.submissions) for a in rows] == [(submission.attempt_id, "day-004-sms", 1)]


@pytest.mark.parametrize("reports", list(permutations(["not_made", "shadowed", "unknown", "made"])))
async def test_a_contact_that_was_made_is_made_whatever_is_reported_before_or_after(
    start: Callable[[], Awaitable[Replica]], reports: tuple[str, ...]
) -> None:
    replica = await start()
    await replica.learns(borrower(), balance())
    replica.clock.move_to(at(11, 9))
    await replica.releases.run_once()
    (submission,) = await replica.outgoing()
    messages = {
        "not_made": not_made(submission, on=at(11, 9), reason="revoked"),
        "shadowed": not_made(submission, on=at(11, 9), reason="shadow"),
        "unknown": unknown(submission, on=at(11, 9)),
        "made": made(submission, on=at(11, 9)),
    }
    attempt = (await _dossier(replica)).attempts[submission.attempt_id]
    for name in reports:
        await replica.learns(messages[name])
        attempt = after_report(attempt, messages[name], PLAYBOOK.waits)  # type: ignore[arg-type]
        assert (await _dossier(replica)).attempts[submission.attempt_id] == attempt
    assert attempt.state == "made"
    replica.clock.move_to(at(11, 12))
    await replica.releases.run_once()
    assert len(await replica.outgoing()) == 1


async def _dossier(replica: Replica) -> Dossier:
    async with replica.engine.begin() as tx:
        return (await PostgresDossiers().lock(tx, ["b-1"], now=replica.clock.now()))["b-1"]


async def test_a_dossier_that_cannot_be_released_holds_up_nobody_else(start: Callable[[], Awaitable[Replica]]) -> None:
    replica = await start()
    await replica.learns(*(fact for b in ("b-1", "b-2") for fact in _facts(b)))
    async with replica.engine.begin() as tx:
        await tx.exec_driver_sql("UPDATE borrower SET zones = '{Nowhere/Land}' WHERE borrower_id = 'b-1'")
    replica.clock.move_to(at(11, 9))
    await replica.releases.run_once()
    assert [s.borrower_id for s in await replica.outgoing()] == ["b-2"]
    assert await replica.releases.next_due_at() == at(11, 10)


def _of(borrower_id: str, message: Message) -> Message:
    return msgspec.structs.replace(message, borrower_id=borrower_id)


def _facts(borrower_id: str) -> tuple[Message, BorrowerUpdatedV1]:
    return _of(borrower_id, balance()), borrower(borrower_id=borrower_id)
