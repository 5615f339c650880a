"""What forbids a permit is written twice, in SQL and in the domain: they must say the same."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters.permit_store import PostgresPermits
from notifier.domain.permits import Permit, Revocation, Stop, Surroundings, block_of
from notifier.ports import Claim
from shared.contracts import Channel, ContactPoint
from tests.notifier_world import database
from tests.notifier_world.fakes import FakeProvider
from tests.notifier_world.messages import START, attempt, borrower
from tests.notifier_world.rig import Rig

notifier_url, engine = database.notifier_url, database.engine

PROVIDERS: dict[Channel, str] = {"sms": "one", "voice": "two"}
SITUATIONS = 30
_ANY_ATTEMPT = msgspec.json.encode(attempt())


def permit_of(random: Random, number: int) -> Permit:
    channels: tuple[Channel, ...] = ("sms", "sms", "voice", "email")
    return Permit(
        borrower_id=f"B{number % 3}",
        attempt_id=f"A{number}",
        submission_number=1,
        decision_id=f"D{number}",
        borrower_sequence=random.randrange(1, 6),
        expires_at=START + timedelta(minutes=random.randrange(1, 60)),
        channel=random.choice(channels),
        contact_point_id=random.choice(("C1", "C2", "C9")),
        loans=tuple(random.sample(("L1", "L2", "L3"), random.randrange(1, 3))),
        strategy=random.choice(("low", "high")),
        purpose=random.choice(("demand", "opt_out_confirmation")),
        attempt_json=b"{}",
    )


def revocation_of(random: Random, number: int) -> Revocation:
    def maybe(*values: Any) -> Any:
        return random.choice((None, None, *values))

    return Revocation(
        borrower_id=f"B{random.randrange(3)}",
        revocation_id=f"R{number}",
        borrower_sequence=random.randrange(1, 6),
        channel=maybe("sms", "voice"),
        contact_point_id=maybe("C1"),
        loans=maybe(("L1", "L3"), ("L2",)),
        strategy=maybe("low"),
        provider=maybe("one", "two"),
    )


def stop_of(random: Random, number: int) -> Stop:
    kinds: tuple[tuple[Any, str], ...] = (
        ("channel", "voice"),
        ("provider", "one"),
        ("strategy", "high"),
        ("borrower", "B1"),
        ("all", "all"),
    )
    kind, value = random.choice(kinds)
    return Stop(stop_id=f"S{number}", kind=kind, value=value, changed_at=START, lifted=random.random() < 0.8)


@pytest.mark.parametrize("seed", range(SITUATIONS))
async def test_sql_and_domain_forbid_the_same_permits(engine: AsyncEngine, seed: int) -> None:
    random = Random(seed)
    rig = Rig(engine, [FakeProvider(name="one"), FakeProvider(name="two", channel="voice")])
    points = (
        ContactPoint(contact_point_id="C1", kind="mobile", value="+8613800138000"),
        ContactPoint(contact_point_id="C2", kind="mobile", value="+8613800138001", active=False),
    )
    await rig.consume(*(borrower(f"B{i}", contact_points=points) for i in range(3)))
    permits = [permit_of(random, number) for number in range(12)]
    revocations = [revocation_of(random, number) for number in range(random.randrange(4))]
    stops = [stop_of(random, number) for number in range(random.randrange(3))]
    store = PostgresPermits(providers=PROVIDERS)
    suppressed = random.choice(("sms", "voice", None))
    async with engine.begin() as tx:
        if suppressed is not None:
            await tx.exec_driver_sql(
                "INSERT INTO suppression VALUES ($1, $2, 'I1', $3)",
                (rig.sealer.hash_number("+8613800138000"), suppressed, START),
            )
        await store.add(tx, permits)
        await store.revoke(tx, revocations)
        await store.set_stops(tx, stops)
        by_borrower = seed % 2 == 0
        ends = await store.end_blocked(
            tx, now=START, borrower_ids=["B0", "B1", "B2"] if by_borrower else None, limit=1000
        )
        claimed: set[str] = set()
        for channel, provider in PROVIDERS.items():
            claim = Claim(channel=channel, provider=provider, owner="x", now=START, lease_seconds=9, limit=99)
            rows = await tx.exec_driver_sql("UPDATE permit SET attempt_json = $1", (_ANY_ATTEMPT,))
            assert rows.rowcount == len(permits)
            claimed |= {one.key[1] for one in await store.claim(tx, claim)}
    usable: dict[str, bool | None] = {"C1": True, "C2": False, "C9": None}
    expected = {
        permit.attempt_id: block_of(
            permit,
            Surroundings(
                provider=PROVIDERS.get(permit.channel),
                revocations=tuple(revocations),
                stops=tuple(stops),
                suppressed=permit.channel == suppressed and permit.contact_point_id == "C1",
                contact_point_usable=usable[permit.contact_point_id],
            ),
        )
        for permit in permits
    }
    assert {e.attempt_id: e.reason for e in ends} == {a: reason for a, reason in expected.items() if reason}
    known = {permit.attempt_id for permit in permits if permit.contact_point_id == "C1"}
    assert claimed == {a for a, reason in expected.items() if reason is None} & known
