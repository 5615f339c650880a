"""Shadow mode through the real gate and notifier: everything is decided as it would be live, and nothing leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.http_providers import HttpSmsProvider, ProviderSettings
from shared.contracts import ContactAllowedV1, ContactDeferredV1, ContactDeniedV1, ContactNotMadeV1
from tests.gate_service_world import NOW, World, attempt, balance, borrower
from tests.integration import gate_bench
from tests.notifier_world import database
from tests.notifier_world.carrier import HttpCarrier
from tests.notifier_world.rig import Rig

gate_url, world = gate_bench.gate_url, gate_bench.world
notifier_url, engine = database.notifier_url, database.engine
_names = count(1)


@pytest.fixture
async def carrier() -> AsyncIterator[HttpCarrier]:
    async with HttpCarrier() as started:
        yield started


class Pair:
    """Gate and notifier over one borrower; what the notifier says of a permit goes back to the gate."""

    def __init__(self, world: World, rig: Rig) -> None:
        self.world, self.rig = world, rig
        self._number = next(_names)
        self.borrower_id = f"B{self._number}"
        self._told = 0

    async def begin(self) -> None:
        person = borrower(self.borrower_id, numbers=(f"+86138001380{self._number:02}",))
        await self.world.take(person, balance(self.borrower_id))
        await self.rig.consume(person)

    async def submit(self, name: str, submission: int = 1) -> object:
        """Ask the gate; what it allows goes to the notifier, whose outcomes go back."""
        now = self.world.clock.now()
        asked = attempt(self.borrower_id, f"{self.borrower_id}-{name}", submission=submission, at=now)
        [verdict] = await self.world.take(msgspec.structs.replace(asked, template="sms-overdue"))
        if isinstance(verdict, ContactAllowedV1):
            self.rig.at(now)
            await self.rig.consume(verdict)
            await self.rig.send_all()
            outcomes = await self.rig.published()
            await self.world.take(*outcomes[self._told :])
            self._told = len(outcomes)
        return verdict


def rig_of(engine: AsyncEngine, carrier: HttpCarrier, *, shadow: bool) -> tuple[Rig, HttpSmsProvider]:
    settings = ProviderSettings(
        name="sms-http", url=carrier.url, key="k", sender="D", timeout_seconds=30, connections_max=4
    )
    provider = HttpSmsProvider(settings)
    return Rig(engine, [provider], shadow=shadow), provider


@pytest.mark.parametrize("shadow", [False, True], ids=["live", "shadow"])
async def test_the_second_text_of_a_day_waits_for_the_next_day_in_shadow_mode_as_it_does_live(
    engine: AsyncEngine, world: World, carrier: HttpCarrier, shadow: bool
) -> None:
    rig, provider = rig_of(engine, carrier, shadow=shadow)
    await provider.start()
    try:
        pair = Pair(world, rig)
        await pair.begin()
        assert isinstance(await pair.submit("A1"), ContactAllowedV1)
        second = await pair.submit("A2")
        assert isinstance(second, ContactDeferredV1)
        assert second.next_legal_instant is not None
        assert second.next_legal_instant > NOW + timedelta(hours=12)
        assert isinstance(await pair.submit("A1", submission=2), ContactDeniedV1), "an attempt is sent once at most"
        world.clock.move_to(second.next_legal_instant)
        assert isinstance(await pair.submit("A2", submission=2), ContactAllowedV1)
    finally:
        await provider.stop()
    assert len(carrier.requests) == (0 if shadow else 2)


async def test_what_was_shadowed_is_told_as_not_made_and_counts_in_the_evidence_as_shadowed(
    engine: AsyncEngine, world: World, carrier: HttpCarrier
) -> None:
    rig, _ = rig_of(engine, carrier, shadow=True)
    pair = Pair(world, rig)
    await pair.begin()
    await pair.submit("A1")
    [told] = await rig.published()
    assert isinstance(told, ContactNotMadeV1)
    assert (told.reason, told.ended_at) == ("shadow", NOW)
    await pair.submit("A2")
    async with world.engine.connect() as connection:
        found = await connection.exec_driver_sql(
            "SELECT evidence FROM decision WHERE attempt_id = $1", (f"{pair.borrower_id}-A2",)
        )
        [past] = msgspec.json.decode(found.scalar_one())["facts"]["history"]
    assert (past["contact_id"], past["state"]) == (f"{pair.borrower_id}-A1", "shadowed")


async def test_after_a_change_to_live_nothing_shadowed_is_sent_and_the_next_text_waits_for_its_cap(
    engine: AsyncEngine, world: World, carrier: HttpCarrier
) -> None:
    rig, _ = rig_of(engine, carrier, shadow=True)
    pair = Pair(world, rig)
    await pair.begin()
    await pair.submit("A1")
    live, provider = rig_of(engine, carrier, shadow=False)
    await provider.start()
    try:
        await live.send_all()
        await live.settle()
        assert carrier.requests == []
        pair.rig = live
        later = await pair.submit("A2")
        assert isinstance(later, ContactDeferredV1)
        assert later.next_legal_instant is not None
        world.clock.move_to(later.next_legal_instant)
        assert isinstance(await pair.submit("A2", submission=2), ContactAllowedV1)
        assert carrier.times_asked == {f"{pair.borrower_id}-A2": 1}
    finally:
        await provider.stop()
