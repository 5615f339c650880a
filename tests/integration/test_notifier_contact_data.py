"""Contact data over real Postgres: sealed, the latest by event time stays, erasure is for good; the schema's way."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.contact_store import erase
from notifier.ports import SealBroken
from shared.postgres.engine import create_engine
from shared.postgres.migrations import downgrade, migrate
from tests.notifier_world import database
from tests.notifier_world.database import empty
from tests.notifier_world.fakes import FakeProvider
from tests.notifier_world.messages import START, allowed, borrower, received
from tests.notifier_world.rig import Rig

notifier_url, engine = database.notifier_url, database.engine


async def test_profiles_in_any_order_leave_the_latest(engine: AsyncEngine) -> None:
    updates = [
        received(borrower(number=f"+861380013800{i}"), ce_time=START + timedelta(minutes=i), ce_id=f"e{i}")
        for i in range(3)
    ]
    for order in itertools.permutations(updates):
        await empty(engine)
        provider = FakeProvider(name="sms")
        rig = Rig(engine, [provider])
        await rig.consume(*order, order[0], allowed())
        await rig.send_all()
        assert [request.to for request in provider.requests] == ["+8613800138002"]


async def test_doubles_in_one_batch_leave_the_latest(engine: AsyncEngine) -> None:
    provider = FakeProvider(name="sms")
    rig = Rig(engine, [provider])
    later = received(borrower(number="+8613800138001"), ce_time=START + timedelta(minutes=1))
    await rig.consume_batch([later, received(borrower()), received(allowed())])
    await rig.send_all()
    assert [request.to for request in provider.requests] == ["+8613800138001"]


async def test_no_number_and_no_name_is_stored_in_the_clear(engine: AsyncEngine) -> None:
    rig = Rig(engine, [FakeProvider(name="sms")])
    await rig.consume(borrower(), allowed())
    await rig.send_all()
    async with engine.begin() as tx:
        dumped = ""
        for table in ("borrower", "contact_point", "permit", "outbox", "inbound", "inbound_reply"):
            dumped += str((await tx.exec_driver_sql(f"SELECT array_agg(t::text) FROM {table} t")).scalar())
    for secret in ("13800138000", "王小明", "王小明".encode().hex(), b"13800138000".hex()):
        assert secret not in dumped


async def test_erasure_ends_contact_for_good_and_is_audited(engine: AsyncEngine) -> None:
    provider = FakeProvider(name="sms")
    rig = Rig(engine, [provider])
    await rig.consume(borrower(), allowed())
    erased_at = START + timedelta(minutes=5)
    async with engine.begin() as tx:
        sealed = (await tx.exec_driver_sql("SELECT value_sealed FROM contact_point")).scalar_one()
        assert await erase(tx, borrower_id="B1", now=erased_at, acted_by="officer", reason="request of the borrower")
    await rig.consume(received(borrower(), ce_id="again", ce_time=START + timedelta(minutes=1)))
    await rig.send_all()
    assert provider.requests == []
    rig.at(START + timedelta(hours=1))
    await rig.settle()
    assert (await rig.states())[("A1", 1)] == ("not_made", "no_contact_point")
    async with engine.begin() as tx:
        audit = (await tx.exec_driver_sql("SELECT action, acted_by, reason FROM contact_audit")).one()
        assert tuple(audit) == ("erased", "officer", "request of the borrower")
        assert (await tx.exec_driver_sql("SELECT count(*) FROM borrower_key")).scalar_one() == 0
        assert not await erase(tx, borrower_id="B1", now=rig.clock.now(), acted_by="officer", reason="again")
    with pytest.raises(SealBroken):
        rig.sealer.open(
            rig.sealer.new_wrapped_key("B1"), borrower_id="B1", field="contact_point:C1", sealed=bytes(sealed)
        )


async def test_the_lender_may_send_an_erased_borrower_again(engine: AsyncEngine) -> None:
    provider = FakeProvider(name="sms")
    rig = Rig(engine, [provider])
    await rig.consume(borrower())
    async with engine.begin() as tx:
        await erase(tx, borrower_id="B1", now=START, acted_by="officer", reason="request")
    await rig.consume(received(borrower(), ce_id="new", ce_time=START + timedelta(minutes=1)), allowed())
    await rig.send_all()
    assert len(provider.requests) == 1


async def test_the_schema_goes_up_from_nothing_down_and_up_again(fresh_database: Callable[[str], str]) -> None:
    url = fresh_database("notifier")
    await migrate("notifier", url)
    await downgrade("notifier", url, revision="base")
    await migrate("notifier", url)
    engine = create_engine(url, application_name="test", connections_max=2)
    try:
        await empty(engine)
    finally:
        await engine.dispose()
