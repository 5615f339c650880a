"""The gate's facts are the same whatever order, batches and number of copies they arrive in."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance_gate.domain.kept_facts import EMPTY_FACTS
from decorum_local import LocalPlatform
from shared.contracts import (
    ConsentChangedV1,
    ContactMadeV1,
    ContactNotMadeV1,
    ContactProgressedV1,
    ContactUnknownV1,
    ExternalContactMadeV1,
    HeldReviewedV1,
    LoanClosedV1,
    PaymentPostedV1,
    PaymentReceivedV1,
    PaymentReversedV1,
    PaymentUnpostedV1,
    ReplyReceivedV1,
    RestrictionChangedV1,
)
from shared.contracts.types import Amounts, Message
from shared.kafka.records import Received
from shared.postgres.engine import create_engine
from tests.databases import migrated_database
from tests.gate_service_world import NOW, NUMBERS, World, balance, borrower, received

NUMBERS_EACH = 2
_sides = count(1)
Said = tuple[str, int, int]
"""A kind of event, a choice inside it, and its business time in minutes."""

KINDS = (
    *("profile", "consent", "restriction", "reply", "external", "closed", "review"),
    *("payment", "reversal", "posted", "unposted", "balance", "made", "unknown", "not_made", "progressed"),
)
FACTS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 11), st.integers(0, 3)), min_size=2, max_size=9, unique=True
)


@pytest.fixture(scope="module")
def runner(platform: LocalPlatform) -> Iterator[tuple[asyncio.Runner, World]]:
    with migrated_database(platform, "compliance_gate") as url, asyncio.Runner() as runner:
        engine = create_engine(url, application_name="test", connections_max=2)
        yield runner, World(engine)
        runner.run(engine.dispose())


def numbers_of(side: str) -> tuple[str, ...]:
    return tuple(f"+8613{index}{int(side[1:]):08d}" for index in range(NUMBERS_EACH))


def message(side: str, said: Said) -> Message:
    return _of_a_person(side, said) or _of_money(side, said) or _of_a_contact(side, said)


def _of_a_contact(side: str, said: Said) -> Message:
    kind, choice, _ = said
    contact: dict[str, Any] = {
        "borrower_id": side,
        "attempt_id": f"A{choice % 2}",
        "channel": ("sms", "voice")[choice % 2],
        "contact_point_id": f"P{choice % 2}",
        "loans": (f"L{choice % 2}",),
    }
    ended: dict[str, Any] = {
        **contact,
        "submission_number": 1 + choice // 6,
        "decision_id": f"D{choice}",
        "provider": "sms-http",
    }
    match kind:
        case "made":
            return ContactMadeV1(**ended, made_at=NOW)
        case "unknown":
            return ContactUnknownV1(**ended, sent_at=NOW)
        case "not_made":
            return ContactNotMadeV1(**ended, reason=("rejected", "permit_expired", "shadow")[choice % 3], ended_at=NOW)
        case _:
            result: Any = ("delivered", "failed", "no_answer", "conversation")[choice % 4]
            return ContactProgressedV1(**contact, result=result, occurred_at=NOW, made_at=NOW)


def _of_a_person(side: str, said: Said) -> Message | None:
    kind, choice, _ = said
    point, channel = f"P{choice % 2}", ("sms", "voice")[choice % 2]
    loans = (f"L{choice % 3}",)
    at = NOW - timedelta(hours=choice)
    match kind:
        case "profile":
            held = numbers_of(side)
            used = (held, held[::-1], held[:1], ())[choice % 4]
            points = tuple(point for point in borrower(side, numbers=used).contact_points)
            return borrower(side, region=("CN", "US")[choice % 2], contact_points=_renamed(points))
        case "consent":
            return ConsentChangedV1(
                borrower_id=side,
                consent_id=f"C{choice % 2}",
                kind=("opt_out", "opt_out", "inconvenient", "call_back")[choice % 4],
                in_force=choice < 9,
                effective_from=at,
                channel=channel,  # type: ignore[arg-type]
                contact_point_id=(point, None, "P0")[choice % 3],
            )
        case "restriction":
            return RestrictionChangedV1(
                borrower_id=side,
                restriction_id=f"R{choice % 2}",
                kind=("dispute", "attorney", "vulnerable")[choice % 3],
                active=choice < 8,
                effective_from=at,
                loans=loans if choice % 4 else None,
            )
        case "reply":
            return ReplyReceivedV1(
                borrower_id=side,
                reply_id=f"I{choice}",
                channel=channel,  # type: ignore[arg-type]
                received_at=at,
                intent=("stop", "dispute", "wrong_person", "distress", "other", "promise")[choice % 6],
                contact_point_id=point if choice < 8 else None,
            )
        case "external":
            return ExternalContactMadeV1(
                borrower_id=side,
                contact_id=f"X{choice % 3}",
                channel=channel,  # type: ignore[arg-type]
                direction=("outbound", "inbound")[choice // 6],
                result="conversation",
                made_at=at,
                made_by="agency",
                loans=loans,
                contact_point_id=(point, None)[choice % 2],
            )
        case "closed":
            return LoanClosedV1(borrower_id=side, loan_id=f"L{choice % 2}", reason="paid")
        case "review":
            return HeldReviewedV1(
                borrower_id=side,
                decision_id=f"D{choice % 2}",
                attempt_id="A0",
                submission_number=1,
                approved=choice < 6,
                reviewed_by="li",
                reason="",
                reviewed_at=at,
            )
        case _:
            return None


def _of_money(side: str, said: Said) -> Message | None:
    kind, choice, _ = said
    money: dict[str, Any] = {"borrower_id": side, "loan_id": f"L{choice // 2 % 2}", "payment_id": f"PAY{choice % 2}"}
    booked: dict[str, Any] = {**money, "currency": "CNY", "amount_minor": 5, "effective_at": NOW}
    at = NOW - timedelta(hours=choice)
    match kind:
        case "payment":
            return PaymentReceivedV1(**money, currency="CNY", amount_minor=5)
        case "reversal":
            return PaymentReversedV1(**money)
        case "posted":
            told: dict[str, Any] = {"posted_at": at, "balance_version": 1 + choice // 2 if choice % 3 else None}
            return PaymentPostedV1(
                **booked,
                **told,
                allocated=Amounts(),
                suspense_minor=5,
                posted_to="unknown_loan",
                counted=choice < 4,
            )
        case "unposted":
            return PaymentUnpostedV1(**booked)
        case "balance":
            version = 1 + choice // 2
            cause = ("snapshot", "payment", "reversal")[version % 3]
            return balance(side, loan_id=f"L{choice % 2}", version=version, overdue=100 * version, cause=cause)
        case _:
            return None


def _renamed(points: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(
        type(point)(contact_point_id=f"P{index}", kind=point.kind, value=point.value, active=point.active)
        for index, point in enumerate(points)
    )


def record(side: str, said: Said) -> Received[Any]:
    ce_id = f"{said[0]}-{said[1]}-{said[2]}"
    at = NOW + timedelta(minutes=said[2])
    if said[0] == "profile":  # of two numbers of one instant the lower hash counts, and the sides' hashes differ
        at += timedelta(seconds=said[1])
    return received(message(side, said), at=at, ce_id=ce_id)


async def state(world: World, side: str) -> list[str]:
    """Everything that is kept of `side`, with its own names taken out."""
    keys = {NUMBERS.key(number): f"number{index}" for index, number in enumerate(numbers_of(side))}
    rows: list[str] = []
    async with world.engine.connect() as connection:
        for table in ("restriction", "consent", "contact", "loan", "payment", "held_review"):
            found = await connection.exec_driver_sql(
                f"SELECT to_jsonb(t)::text FROM {table} t WHERE borrower_id = $1", (side,)
            )
            rows.extend(f"{table} {text}" for text in found.scalars())
        for table in ("number_holder", "number_suppression", "number_contact"):
            found = await connection.exec_driver_sql(
                f"SELECT to_jsonb(t)::text FROM {table} t WHERE number_key = ANY($1::text[])", (list(keys),)
            )
            rows.extend(f"{table} {text}" for text in found.scalars())
        locked = await world.store.lock_borrowers(connection, [side])
        rows.append(repr(locked[side]))
        since, late_for = NOW - timedelta(days=60), timedelta(hours=6)
        loaded = await world.store.load_facts(connection, [side], now=NOW, since=since, late_for=late_for)
        facts = loaded.get(side, EMPTY_FACTS)
        rows.extend(f"{name} {item!r}" for name in facts.__struct_fields__ for item in getattr(facts, name))
        await connection.rollback()
    for key, name in keys.items():
        rows = [row.replace(key, name) for row in rows]
    return sorted(row.replace(side, "borrower") for row in rows)


async def feed(world: World, side: str, batches: Sequence[Sequence[Said]]) -> list[str]:
    for batch in batches:
        if batch:
            await world.take(*(record(side, said) for said in batch))
    return await state(world, side)


@settings(max_examples=60)
@given(facts=FACTS, data=st.data())
def test_any_order_of_facts_gives_the_same_state(
    runner: tuple[asyncio.Runner, World], facts: list[Said], data: st.DataObject
) -> None:
    loop, world = runner
    first, second = (f"S{next(_sides):07d}" for _ in range(2))
    copies = data.draw(st.lists(st.sampled_from(facts), max_size=3))
    shuffled = data.draw(st.permutations([*facts, *copies]))
    cut = data.draw(st.integers(0, len(shuffled)))
    in_order = sorted(facts, key=lambda said: (said[2], record(first, said).order_key))
    one_by_one = loop.run(feed(world, first, [[said] for said in in_order]))
    in_two_batches = loop.run(feed(world, second, [shuffled[:cut], shuffled[cut:]]))
    assert in_two_batches == one_by_one
