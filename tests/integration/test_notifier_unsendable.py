"""What cannot be put into words or reached, over real Postgres: its permit ends, and says why."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.loops.sending import DispatchLoop
from notifier.ports import Script, Speech
from shared.contracts import AttemptSubmittedV1, ContactPoint
from tests.notifier_world import database, replicas
from tests.notifier_world.carrier import HttpCarrier
from tests.notifier_world.fakes import FakeProvider
from tests.notifier_world.messages import START, allowed, borrower, received
from tests.notifier_world.replicas import replica

notifier_url, engine, carrier = database.notifier_url, database.engine, replicas.carrier


class SpeechlessTexts:
    """`Texts` with a defect that nobody has thought of."""

    def render(self, attempt: AttemptSubmittedV1, speech: Speech) -> Script:
        raise TypeError


async def test_an_attempt_that_cannot_be_put_into_words_was_not_made(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    async with replica(engine, carrier.url) as rig:
        provider = FakeProvider()
        sending = dataclasses.replace(rig.sending, texts=SpeechlessTexts())
        rig.dispatches = [DispatchLoop(sending, provider, rig.results, rig.pace)]
        await rig.consume(borrower(), allowed())
        await rig.send_all()
        await rig.settle()
        assert provider.requests == []
        assert await rig.states() == {("A1", 1): ("not_made", "template_failed")}


async def test_a_name_that_is_gone_is_contact_data_that_cannot_be_opened(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed())
        async with engine.begin() as tx:
            await tx.exec_driver_sql("UPDATE borrower SET name_sealed = NULL")
        await rig.send_all()
        await rig.settle()
        assert carrier.requests == []
        assert await rig.states() == {("A1", 1): ("not_made", "no_contact_point")}


async def test_a_permit_waits_for_its_contact_point_and_ends_without_one(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(allowed(), allowed("B2", "A2"))
        await rig.send_all()
        assert carrier.requests == []
        await rig.consume(borrower())
        await rig.send_all()
        assert carrier.times_asked == {"A1": 1}
        rig.at(START + timedelta(hours=1))
        await rig.settle()
        assert (await rig.states())[("A2", 1)] == ("not_made", "no_contact_point")


@pytest.mark.parametrize(
    "point",
    [
        ContactPoint(contact_point_id="C1", kind="mobile", value="+8613800138000", active=False),
        ContactPoint(contact_point_id="C1", kind="mobile", value="+8613800138000", holder="third_party"),
        ContactPoint(contact_point_id="C1", kind="landline", value="+862161234567"),
        ContactPoint(contact_point_id="C1", kind="email", value="someone@example.com"),
        ContactPoint(contact_point_id="C2", kind="mobile", value="+8613800138000"),
    ],
    ids=["inactive", "a third party's", "a landline", "an address", "replaced"],
)
async def test_a_contact_point_that_may_not_be_used_ends_the_permit(
    engine: AsyncEngine, carrier: HttpCarrier, point: ContactPoint
) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed())
        later = received(borrower(contact_points=(point,)), ce_time=START + timedelta(seconds=1))
        await rig.consume(later)
        await rig.send_all()
        assert carrier.requests == []
        assert (await rig.states())[("A1", 1)] == ("not_made", "no_contact_point")


async def test_channels_and_texts_that_do_not_exist_end_their_permits(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(
            borrower(),
            allowed("B1", "A1", channel="email"),
            allowed("B1", "A2", template="sms-unheard-of"),
            allowed("B1", "A3", party="third_party"),
        )
        await rig.send_all()
        assert carrier.requests == []
        states = await rig.states()
        assert states[("A1", 1)] == ("not_made", "no_provider")
        assert states[("A2", 1)] == ("not_made", "template_failed")
        assert states[("A3", 1)] == ("not_made", "template_failed")
        await rig.consume(allowed("B1", "A2", sequence=2, submission_number=2))
        await rig.send_all()
        assert carrier.times_asked == {"A2": 1}
