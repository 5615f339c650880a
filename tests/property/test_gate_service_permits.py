"""Whatever order submissions and facts come in, no permit stays open against a fact that the gate knows."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decorum_local import LocalPlatform
from shared.contracts import (
    ConsentChangedV1,
    ContactAllowedV1,
    LoanClosedV1,
    PaymentReceivedV1,
    PermitRevokedV1,
    ReplyReceivedV1,
    RestrictionChangedV1,
    StopOrderedV1,
)
from shared.contracts.types import Message
from shared.postgres.engine import create_engine
from tests.databases import migrated_database
from tests.gate_service_world import NOW, World, attempt, balance, borrower, late_payment, received

_borrowers = count(1)

FORBIDDING: dict[str, frozenset[str]] = {
    "payment": frozenset({"sms", "voice"}),
    "late_payment": frozenset({"sms", "voice"}),
    "closure": frozenset({"sms", "voice"}),
    "dispute": frozenset({"sms", "voice"}),
    "stop": frozenset({"sms", "voice"}),
    "number_gone": frozenset({"sms", "voice"}),
    "new_balance": frozenset({"sms", "voice"}),
    "stop_reply": frozenset({"sms"}),
    "opt_out": frozenset({"voice"}),
}
"""Facts, and the channels on which a permit must not outlive them."""
STEPS = (*FORBIDDING, "sms-1", "sms-2", "voice-1")


@pytest.fixture(scope="module")
def runner(platform: LocalPlatform) -> Iterator[tuple[asyncio.Runner, World]]:
    with migrated_database(platform, "compliance_gate") as url, asyncio.Runner() as runner:
        engine = create_engine(url, application_name="test", connections_max=2)
        yield runner, World(engine)
        runner.run(engine.dispose())


def message(b: str, step: str) -> Message:
    match step:
        case "payment":
            return PaymentReceivedV1(borrower_id=b, loan_id=f"{b}-L1", payment_id="P", currency="CNY", amount_minor=1)
        case "late_payment":
            return late_payment(b)
        case "closure":
            return LoanClosedV1(borrower_id=b, loan_id=f"{b}-L1", reason="paid")
        case "dispute":
            return RestrictionChangedV1(
                borrower_id=b, restriction_id="R", kind="dispute", active=True, effective_from=NOW
            )
        case "stop":
            return StopOrderedV1(
                borrower_id=b, stop_id=b, kind="borrower", value=b, reason="", ordered_by="me", ordered_at=NOW
            )
        case "number_gone":
            return borrower(b, numbers=())
        case "new_balance":
            return balance(b, version=2)
        case "stop_reply":
            return ReplyReceivedV1(borrower_id=b, reply_id=f"{b}-r", channel="sms", received_at=NOW, intent="stop")
        case "opt_out":
            return ConsentChangedV1(
                borrower_id=b, consent_id="C", kind="opt_out", in_force=True, effective_from=NOW, channel="voice"
            )
        case _:
            channel: Any = step.split("-")[0]
            return attempt(b, f"{b}-{step}", channel=channel)


@settings(max_examples=60)
@given(
    steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=8),
    cuts=st.sets(st.integers(0, 8), max_size=4),
    replays=st.booleans(),
)
def test_a_permit_never_outlives_a_known_fact_against_it(
    runner: tuple[asyncio.Runner, World], steps: list[str], cuts: set[int], replays: bool
) -> None:
    loop, world = runner
    b = f"B{next(_borrowers):07d}"
    published = loop.run(run(world, b, steps, sorted(cuts), replays))
    check_order(published)
    permits = [each for each in published if isinstance(each, ContactAllowedV1)]
    revocations = [each for each in published if isinstance(each, PermitRevokedV1)]
    forbidden = {channel for step in steps for channel in FORBIDDING.get(step, ())}
    for permit in permits:
        covering = [each for each in revocations if covers(each, permit)]
        assert bool(covering) == (permit.attempt.channel in forbidden)
    ended = [attempt_id for each in revocations for attempt_id in each.attempt_ids]
    assert len(ended) == len(set(ended)), "a permit is ended once"
    assert set(ended) <= {permit.attempt_id for permit in permits}
    assert len(permits) <= 2, "one text message a day, and one call"


async def run(world: World, b: str, steps: list[str], cuts: list[int], replays: bool) -> list[Any]:
    number = f"+86135{int(b[1:]):08d}"
    await world.take(received(borrower(b, numbers=(number,)), at=NOW - timedelta(hours=1)), balance(b))
    edges = [0, *(cut for cut in cuts if cut < len(steps)), len(steps)]
    published = []
    for start, end in pairwise(edges):
        batch = [received(message(b, step), at=NOW, ce_id=f"{b}-{step}") for step in steps[start:end]]
        if batch:
            published.extend(await world.take(*batch))
        if batch and replays:
            again = await world.take(*batch)
            assert {each for each in again if isinstance(each, ContactAllowedV1)} <= set(published)
            published.extend(again)
    return list(dict.fromkeys(published))


def check_order(published: list[Any]) -> None:
    """Decisions and revocations have one order without gaps."""
    numbers = sorted(each.borrower_sequence for each in published)
    assert numbers == list(range(1, len(numbers) + 1))


def covers(revocation: PermitRevokedV1, permit: ContactAllowedV1) -> bool:
    """As the notifier tells it: scope and sequence alone."""
    scope = revocation.scope
    return (
        revocation.borrower_sequence > permit.borrower_sequence
        and scope.channel in (None, permit.attempt.channel)
        and scope.contact_point_id in (None, permit.attempt.contact_point_id)
        and (scope.loans is None or f"{permit.borrower_id}-L1" in scope.loans)
    )
