"""Shadow mode over real Postgres and real HTTP: nothing leaves, and every permit ends as it would live."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.ports import Claim
from shared.contracts import ContactNotMadeV1
from tests.notifier_world import database, replicas
from tests.notifier_world.carrier import HttpCarrier
from tests.notifier_world.messages import START, allowed, borrower, revoked
from tests.notifier_world.replicas import replica

notifier_url, engine, carrier = database.notifier_url, database.engine, replicas.carrier


async def test_in_shadow_mode_nothing_is_sent_and_a_permit_ends_at_the_instant_of_its_sending(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url, shadow=True) as rig:
        await rig.consume(borrower(), allowed())
        assert await rig.published() == [], "it has not been its turn"
        rig.at(START + timedelta(minutes=3))
        await rig.send_all()
        await rig.send_all()
        assert carrier.requests == []
        [not_made] = await rig.published()
        assert isinstance(not_made, ContactNotMadeV1)
        assert (not_made.reason, not_made.ended_at) == ("shadow", START + timedelta(minutes=3))
        assert not_made.provider == "http"


async def test_in_shadow_mode_what_could_not_be_sent_ends_as_it_would_live(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url, shadow=True) as rig:
        await rig.consume(
            borrower(),
            allowed("B1", "A1", template="sms-unheard-of"),
            allowed("B1", "A2", channel="email"),
            allowed("B1", "A3"),
            revoked("B1", sequence=9),
            allowed("B1", "A4", sequence=10),
            allowed("B1", "A4", sequence=11, submission_number=2),
        )
        await rig.send_all()
        await rig.settle()
        assert carrier.requests == []
        assert await rig.states() == {
            ("A1", 1): ("not_made", "revoked"),
            ("A2", 1): ("not_made", "no_provider"),
            ("A3", 1): ("not_made", "revoked"),
            ("A4", 1): ("not_made", "shadow"),
            ("A4", 2): ("not_made", "rejected"),
        }


async def test_a_shadowed_permit_is_never_sent_by_a_live_replica_and_leaves_nothing_to_look_up(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url, shadow=True) as shadow, replica(engine, carrier.url) as live:
        await shadow.consume(borrower(), allowed())
        await shadow.send_all()
        await live.consume(allowed("B1", "A1", sequence=2, submission_number=2))
        await live.send_all()
        await live.settle()
        assert carrier.requests == []
        assert (await live.states())[("A1", 1)] == ("not_made", "shadow")


async def test_what_a_live_replica_left_uncertain_ends_as_unknown_in_shadow_mode(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url) as live, replica(engine, carrier.url, shadow=True) as shadow:
        await live.consume(borrower(), allowed())
        claim = Claim(channel="sms", provider="http", owner="killed", now=START, lease_seconds=0, limit=9)
        async with engine.begin() as tx:
            assert len(await live.store.claim(tx, claim)) == 1
        await shadow.send_all()
        await shadow.settle()
        assert (await shadow.states())[("A1", 1)] == ("unknown", None)
        assert carrier.requests == []
