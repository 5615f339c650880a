"""Which came first, a claim or a revocation: the database tells by two instants, whatever is still open at the time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.domain.permits import Revocation
from notifier.handlers.inbound import take_inbound
from notifier.ports import Answer, Claim, Claimed, Inbound, SendRequest
from shared.contracts import Channel, ContactNotMadeV1, ReplyReceivedV1
from tests.notifier_world import database
from tests.notifier_world.messages import START, allowed, borrower, revoked
from tests.notifier_world.rig import Rig

notifier_url, engine = database.notifier_url, database.engine

CLAIM = Claim(channel="sms", provider="silent", owner="one", now=START, lease_seconds=30.0, limit=10)
NOW = sa.text("SELECT clock_timestamp()")
WAITING = sa.text(
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
REVOCATION = Revocation(borrower_id="B1", revocation_id="R1", borrower_sequence=2)


class SilentProvider:
    """Takes everything and keeps nothing."""

    name = "silent"
    channel: Channel = "sms"

    async def send(self, request: SendRequest) -> Answer:
        return Answer(kind="accepted", message_id=request.attempt_id)

    async def find(self, attempt_id: str) -> str | None:
        return None


def rig(engine: AsyncEngine) -> Rig:
    return Rig(engine, [SilentProvider()])


async def claim(one: Rig) -> Sequence[Claimed]:
    async with one.work.begin() as tx:
        return await one.store.claim(tx, CLAIM)


async def says(one: Rig, text: str) -> None:
    """B1 answers by text."""
    said = Inbound(
        inbound_id="I1",
        channel="sms",
        number_hash=one.sealer.hash_number("+8613800138000"),
        text=text,
        digit=None,
        received_at=START,
        in_reply_to=None,
    )
    async with one.work.begin() as tx:
        await one.work.publish(tx, await take_inbound(tx, [said], desk=one.desk))


async def instants(engine: AsyncEngine) -> tuple[datetime | None, datetime | None]:
    """When the one permit was claimed, and when the one revocation was stored."""
    async with engine.begin() as tx:
        rows = await tx.exec_driver_sql(
            "SELECT (SELECT claimed_at FROM permit) AS claimed_at, (SELECT recorded_at FROM revocation) AS recorded_at"
        )
        row = rows.one()
        return row.claimed_at, row.recorded_at


async def until_somebody_waits(engine: AsyncEngine) -> None:
    async with asyncio.timeout(30), engine.connect() as watching:
        # Inside one transaction the server would go on showing what it showed first.
        await watching.execution_options(isolation_level="AUTOCOMMIT")
        while not await watching.scalar(WAITING):  # noqa: ASYNC110 - it is the server that waits
            await asyncio.sleep(0.01)


async def test_a_revocation_is_stored_after_the_claim_that_it_came_too_late_for(engine: AsyncEngine) -> None:
    one, two = rig(engine), rig(engine)
    await one.consume(borrower(), allowed())
    async with one.work.begin() as claiming:
        assert len(await one.store.claim(claiming, CLAIM)) == 1
        revoking = asyncio.create_task(two.consume(revoked()))
        await until_somebody_waits(engine)
        early = await claiming.scalar(NOW)
    await revoking
    claimed_at, recorded_at = await instants(engine)
    assert claimed_at is not None
    assert recorded_at is not None
    assert claimed_at < early < recorded_at


async def test_nothing_is_claimed_while_its_revocation_is_not_yet_committed(engine: AsyncEngine) -> None:
    one, two = rig(engine), rig(engine)
    await one.consume(borrower(), allowed())
    async with two.work.begin() as revoking:
        await two.store.revoke(revoking, [REVOCATION])
        assert await claim(one) == []
    assert await claim(one) == []
    assert (await instants(engine))[0] is None


async def test_a_revocation_that_came_before_its_permit_is_older_than_every_claim_and_there_is_none(
    engine: AsyncEngine,
) -> None:
    one = rig(engine)
    await one.consume(borrower(), revoked(), allowed())
    assert await claim(one) == []
    claimed_at, recorded_at = await instants(engine)
    assert claimed_at is None
    assert recorded_at is not None


async def test_a_wrong_person_is_noted_after_the_claim_that_the_words_came_too_late_for(engine: AsyncEngine) -> None:
    one, two = rig(engine), rig(engine)
    await one.consume(borrower(), allowed())
    async with one.work.begin() as claiming:
        assert len(await one.store.claim(claiming, CLAIM)) == 1
        hearing = asyncio.create_task(says(two, "打错了"))
        await until_somebody_waits(engine)
        early = await claiming.scalar(NOW)
    await hearing
    claimed_at, recorded_at = await instants(engine)
    assert claimed_at is not None
    assert recorded_at is not None
    assert claimed_at < early < recorded_at


@pytest.mark.parametrize(("text", "reason"), [("退订", "stopped"), ("打错了", "revoked")])
async def test_what_a_borrower_says_ends_the_permits_that_it_forbids_in_its_own_transaction(
    engine: AsyncEngine, text: str, reason: str
) -> None:
    one = rig(engine)
    await one.consume(borrower(), allowed())
    await says(one, text)
    assert (await one.states())[("A1", 1)] == ("not_made", reason)
    ended, reply = await one.published()
    assert isinstance(ended, ContactNotMadeV1)
    assert ended.reason == reason
    assert isinstance(reply, ReplyReceivedV1)
    await one.settle()
    assert len(await one.published()) == 2, "nothing else ends it again"


async def test_other_words_leave_a_permit_alone(engine: AsyncEngine) -> None:
    one = rig(engine)
    await one.consume(borrower(), allowed())
    await says(one, "好的")
    assert len(await claim(one)) == 1
