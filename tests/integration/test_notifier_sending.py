"""Sending over real Postgres and real HTTP: at most once, every permit ends, stops and revocations hold."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.loops.requests import Pace
from notifier.ports import Claim, SendResult
from shared.contracts import ContactMadeV1, ContactNotMadeV1, ContactUnknownV1
from tests.notifier_world import database, replicas
from tests.notifier_world.carrier import HttpCarrier
from tests.notifier_world.messages import START, allowed, attempt, borrower, lifted, received, revoked, stopped
from tests.notifier_world.replicas import replica

notifier_url, engine, carrier = database.notifier_url, database.engine, replicas.carrier


async def test_a_permit_becomes_one_request_with_the_amount_of_its_attempt_and_its_end(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed())
        await rig.send_all()
        [request] = carrier.requests
        assert request["idempotency_key"] == "A1"
        assert request["to"] == "+8613800138000"
        assert "¥1,234.56" in request["text"]
        assert "王小明" in request["text"]
        assert request["not_after"] == (START + timedelta(minutes=30)).isoformat()
        assert carrier.authorizations == {"Bearer secret"}
        [made] = await rig.published()
        assert isinstance(made, ContactMadeV1)
        assert (made.attempt_id, made.made_at, made.provider) == ("A1", START, "http")
        assert rig.in_flight == 0


async def test_a_call_offers_the_keys(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed(channel="voice", template="call-overdue"))
        await rig.send_all()
        [request] = carrier.requests
        assert request["keys"] == {"1": "promise", "2": "paid_already", "3": "dispute", "9": "stop", "0": "call_back"}
        assert request["opening"]["keys"] == {"5": "right_person", "7": "wrong_person", "9": "stop"}
        assert "王小明" in request["opening"]["text"]
        assert "1,234.56" not in request["opening"]["text"]
        assert "¥1,234.56" in request["text"]


async def test_an_agency_says_the_first_disclosure_until_a_text_has_left(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    """A call before may have ended with its opening, which told of no debt."""
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(region="US-NY", zones=("America/New_York",)))
        for attempt_id, channel, template in (
            ("A1", "voice", "call-overdue"),
            ("A2", "sms", "sms-overdue"),
            ("A3", "sms", "sms-overdue"),
        ):
            await rig.consume(allowed(attempt_id=attempt_id, channel=channel, template=template, language="en"))
            await rig.send_all()
        first = ["attempt to collect a debt" in request["text"] for request in carrier.requests]
        assert first == [True, True, False]


async def test_a_replayed_permit_is_not_sent_again(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed())
        await rig.send_all()
        await rig.consume(allowed())
        await rig.send_all()
        await rig.settle()
        assert carrier.times_asked == {"A1": 1}
        assert len(await rig.published()) == 1


async def test_a_crash_between_claim_and_result_ends_unknown_and_is_never_sent_again(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url, owner="dead") as dead, replica(engine, carrier.url, owner="alive") as alive:
        await dead.consume(borrower(), allowed())
        claim = Claim(channel="sms", provider="http", owner="dead", now=START, lease_seconds=0.0, limit=10)
        async with dead.work.begin() as tx:
            assert len(await dead.store.claim(tx, claim)) == 1
        await alive.send_all()
        await alive.settle()
        assert carrier.requests == []
        [unknown] = await alive.published()
        assert isinstance(unknown, ContactUnknownV1)
        await alive.consume(allowed(sequence=2, submission_number=2))
        await alive.send_all()
        await alive.settle()
        assert carrier.requests == []
        assert (await alive.states())[("A1", 2)] == ("not_made", "rejected")


async def test_a_request_that_was_taken_and_never_answered_is_found_by_its_key(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    carrier.answers["A1"] = 0
    async with replica(engine, carrier.url, timeout_seconds=1) as rig:
        await rig.consume(borrower(), allowed())
        await rig.send_all()
        await rig.settle()
        [made] = await rig.published()
        assert isinstance(made, ContactMadeV1)
        assert carrier.times_asked == {"A1": 1}


async def test_a_broken_answer_that_the_carrier_does_not_know_of_is_unknown(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    carrier.answers["A1"] = 500
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed())
        await rig.send_all()
        await rig.settle()
        await rig.send_all()
        [unknown] = await rig.published()
        assert isinstance(unknown, ContactUnknownV1)
        assert carrier.times_asked == {"A1": 1}


@pytest.mark.parametrize("status", [422, 429, 503])
async def test_a_rejection_is_final(engine: AsyncEngine, carrier: HttpCarrier, status: int) -> None:
    carrier.answers["A1"] = status
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed())
        await rig.send_all()
        await rig.send_all()
        [not_made] = await rig.published()
        assert isinstance(not_made, ContactNotMadeV1)
        assert not_made.reason == "rejected"
        assert carrier.times_asked == {"A1": 1}


async def test_a_refused_connection_leaves_the_permit_for_another_try_inside_it(engine: AsyncEngine) -> None:
    async with HttpCarrier() as gone:
        url = gone.url
    async with replica(engine, url) as rig:
        await rig.consume(borrower(), allowed())
        await rig.dispatches[0].run_once()
        await rig.dispatches[0].drain()
        await rig.results.run_once()
        assert (await rig.states())[("A1", 1)] == ("permitted", None)
        rig.at(START + timedelta(minutes=31))
        await rig.settle()
        assert (await rig.states())[("A1", 1)] == ("not_made", "permit_expired")


async def test_two_replicas_never_send_one_attempt_twice(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    async with replica(engine, carrier.url, owner="one") as one, replica(engine, carrier.url, owner="two") as two:
        names = [f"{i:03}" for i in range(300)]
        await one.consume_batch([received(borrower(f"B{i}", f"+8613800{i}000")) for i in names])
        await one.consume_batch([received(allowed(f"B{i}", f"A{i}")) for i in names])
        await asyncio.gather(one.send_all(), two.send_all())
        assert len(carrier.times_asked) == 300
        assert set(carrier.times_asked.values()) == {1}
        assert {state for state, _ in (await one.states()).values()} == {"made"}
        assert len(await one.published()) == 300


async def test_a_revocation_that_came_before_its_permit_ends_it(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), revoked(sequence=5), allowed(sequence=4))
        await rig.consume(allowed("B1", "A2", sequence=6))
        await rig.send_all()
        assert carrier.times_asked == {"A2": 1}
        assert (await rig.states())[("A1", 1)] == ("not_made", "revoked")


@pytest.mark.parametrize(
    ("scope", "ended"),
    [
        ({}, True),
        ({"channel": "sms"}, True),
        ({"channel": "voice"}, False),
        ({"contact_point_id": "C2"}, False),
        ({"loans": ("L1", "L9")}, True),
        ({"loans": ("L9",)}, False),
        ({"strategy": "courteous-low", "channel": "sms"}, True),
        ({"provider": "http"}, True),
        ({"provider": "other"}, False),
    ],
)
async def test_a_revocation_covers_exactly_its_scope(
    engine: AsyncEngine, carrier: HttpCarrier, scope: dict[str, Any], ended: bool
) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed(), revoked(**scope))
        await rig.send_all()
        assert len(carrier.requests) == (0 if ended else 1)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("all", "all"), ("channel", "sms"), ("provider", "http"), ("strategy", "courteous-low"), ("borrower", "B1")],
)
async def test_a_stop_is_obeyed_from_the_own_database(
    engine: AsyncEngine, carrier: HttpCarrier, kind: str, value: str
) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed(), stopped(kind, value))
        await rig.send_all()
        await rig.settle()
        assert carrier.requests == []
        assert (await rig.states())[("A1", 1)] == ("not_made", "stopped")
        later = START + timedelta(minutes=5)
        rig.at(later)
        await rig.consume(lifted(kind, value, at=later), allowed("B1", "A2", sequence=2))
        await rig.send_all()
        assert carrier.times_asked == {"A2": 1}
        latest = START + timedelta(minutes=6)
        await rig.consume(stopped(kind, value, at=latest), allowed("B1", "A3", sequence=3))
        await rig.send_all()
        assert carrier.times_asked == {"A2": 1}


async def test_another_replica_s_stop_ends_waiting_permits_too(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    async with replica(engine, carrier.url, owner="one") as one, replica(engine, carrier.url, owner="two") as two:
        await one.consume(borrower(), allowed())
        await one.ends.run_once()
        await two.consume(stopped())
        await one.send_all()
        assert carrier.requests == []
        await two.settle()
        assert (await one.states())[("A1", 1)] == ("not_made", "stopped")


async def test_an_unused_permit_ends_at_its_end(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    async with replica(engine, carrier.url) as rig:
        await rig.consume(borrower(), allowed())
        assert await rig.ends.next_due_at() == START + timedelta(minutes=30)
        rig.at(START + timedelta(minutes=30))
        await rig.send_all()
        await rig.settle()
        assert carrier.requests == []
        assert (await rig.states())[("A1", 1)] == ("not_made", "permit_expired")
        assert await rig.ends.next_due_at() is None


async def test_of_two_results_of_one_claim_in_one_batch_none_is_lost(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    for number, outcomes in enumerate(permutations(["unknown", "made"])):
        async with replica(engine, carrier.url) as rig:
            key = (f"B{number}", f"A{number}", 1)
            await rig.consume(borrower(key[0], f"+861380013800{number}"), allowed(key[0], key[1]))
            claim = Claim(channel="sms", provider="http", owner=rig.sending.owner, now=START, lease_seconds=9, limit=9)
            async with engine.begin() as tx:
                assert len(await rig.store.claim(tx, claim)) == 1
            for outcome in outcomes:
                rig.results.put(SendResult(key=key, outcome=outcome))  # type: ignore[arg-type]
            while await rig.results.run_once():
                pass
            assert (await rig.states())[key[1:]] == ("made", None)


async def test_an_answer_with_an_id_that_no_receipt_could_name_holds_up_no_other_result(
    engine: AsyncEngine, carrier: HttpCarrier
) -> None:
    async with replica(engine, carrier.url) as rig:
        carrier.messages["A1"] = "M\0"
        await rig.consume(borrower(), allowed(), allowed("B1", "A2", sequence=2))
        await rig.send_all()
        assert await rig.states() == {("A1", 1): ("made", None), ("A2", 1): ("made", None)}


async def test_a_process_that_slept_past_its_lease_does_not_send(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    asleep = Pace(rate_per_second=100, requests_max=4, claim_records_max=4, lease_seconds=1.2, timeout_seconds=0.5)
    async with replica(engine, carrier.url, pace=asleep) as rig:
        await rig.consume(borrower(), allowed())
        await rig.send_all()
        assert carrier.requests == []


async def test_claims_stay_within_the_rate(engine: AsyncEngine, carrier: HttpCarrier) -> None:
    slow = Pace(rate_per_second=5, requests_max=64, claim_records_max=64, lease_seconds=30, timeout_seconds=10)
    async with replica(engine, carrier.url, pace=slow) as rig:
        await rig.consume(borrower(), *(allowed("B1", f"A{i}") for i in range(20)))
        started = await rig.dispatches[0].run_once()
        await rig.dispatches[0].drain()
        assert 0 < started <= 5


def test_amounts_of_several_loans_are_said_as_one() -> None:
    loans = attempt().loans * 2
    assert attempt(loans=loans).due_minor == 246_912
