import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from compliance_gate.adapters.evidence import replay
from decorum_local import LocalPlatform
from shared.contracts import (
    ConsentChangedV1,
    ContactAllowedV1,
    ContactDeferredV1,
    ContactDeniedV1,
    ContactHeldV1,
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
    PermitRevokedV1,
    ReplyReceivedV1,
    RestrictionChangedV1,
    StopLiftedV1,
    StopOrderedV1,
)
from shared.contracts.attempts import Approval, AttemptLoan
from shared.contracts.types import Amounts, Message
from shared.postgres.engine import create_engine
from shared.postgres.migrations import migrate
from tests.gate_service_world import BOOK, NOW, World, attempt, balance, borrower, late_payment, received

_names = count(1)


@pytest.fixture(scope="module")
def database(platform: LocalPlatform) -> Iterator[str]:
    url = platform.database_url("gate_decisions")
    asyncio.run(migrate("compliance_gate", url))
    yield url
    platform.drop_databases(["gate_decisions"])


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    engine = create_engine(database, application_name="test", connections_max=3)
    yield World(engine)
    await engine.dispose()


@pytest.fixture
def name() -> Callable[[], str]:
    return lambda: f"B{next(_names)}"


async def _rows(engine: AsyncEngine, query: str, **values: object) -> list[tuple[object, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(sa.text(query), values)]


def made(borrower_id: str, attempt_id: str, **changed: object) -> ContactMadeV1:
    told: dict[str, object] = {"submission_number": 1, "channel": "sms", "made_at": NOW, **changed}
    return ContactMadeV1(
        borrower_id=borrower_id,
        attempt_id=attempt_id,
        decision_id="d",
        contact_point_id=f"{borrower_id}-P1",
        loans=(f"{borrower_id}-L1",),
        provider="sms-http",
        **told,  # type: ignore[arg-type]
    )


def not_made(borrower_id: str, attempt_id: str, reason: str, submission: int = 1) -> ContactNotMadeV1:
    return ContactNotMadeV1(
        borrower_id=borrower_id,
        attempt_id=attempt_id,
        submission_number=submission,
        decision_id="d",
        channel="sms",
        contact_point_id=f"{borrower_id}-P1",
        loans=(f"{borrower_id}-L1",),
        provider="sms-http",
        reason=reason,  # type: ignore[arg-type]
        ended_at=NOW,
    )


async def test_a_lawful_attempt_gets_a_permit_that_ends_inside_its_window(
    world: World, name: Callable[[], str]
) -> None:
    b = name()
    await world.known(b)
    [told] = await world.take(attempt(b))
    assert isinstance(told, ContactAllowedV1)
    assert told.borrower_sequence == 1
    assert NOW < told.permit_expires_at <= NOW + timedelta(minutes=30)
    assert told.attempt == attempt(b)
    assert {rule.result for rule in told.rules} <= {"passed", "not_applicable"}


async def test_evidence_replays_to_the_same_verdict(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    await world.take(attempt(b), attempt(b, f"{b}-A2"))
    rows = await _rows(world.engine, "SELECT verdict, evidence FROM decision WHERE borrower_id = :b", b=b)
    verdicts = {type(replay(evidence, BOOK)).__name__.lower() for _, evidence in rows}  # type: ignore[arg-type]
    assert {verdict for verdict, _ in rows} == verdicts == {"allowed", "deferred"}


async def test_what_is_not_known_yet_is_put_off_and_allowed_once_it_is(world: World, name: Callable[[], str]) -> None:
    b = name()
    [first] = await world.take(attempt(b))
    assert isinstance(first, ContactDeferredV1)
    assert ("platform.facts", "deferred") in [(rule.rule_id, rule.result) for rule in first.rules]
    [second] = await world.take(borrower(b), attempt(b, submission=2))
    assert isinstance(second, ContactDeferredV1)  # no balance yet
    [third] = await world.take(balance(b), attempt(b, submission=3))
    assert isinstance(third, ContactAllowedV1)
    assert [first.borrower_sequence, second.borrower_sequence, third.borrower_sequence] == [1, 2, 3]


async def test_nothing_is_permitted_while_facts_are_behind(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    world.lag_seconds = 301
    [told] = await world.take(attempt(b))
    assert isinstance(told, ContactDeferredV1)


async def test_two_attempts_of_one_batch_share_one_daily_slot(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    first, second = await world.take(attempt(b), attempt(b, f"{b}-A2"))
    assert isinstance(first, ContactAllowedV1)
    assert isinstance(second, ContactDeferredV1)
    assert ("courteous.sms-a-day", "deferred") in [(rule.rule_id, rule.result) for rule in second.rules]
    assert second.next_legal_instant is not None
    assert second.next_legal_instant.isoformat() == "2026-09-17T01:00:00+00:00"


async def test_a_replay_gets_the_stored_decision_whatever_its_event_id(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    [told] = await world.take(received(attempt(b), ce_id="one"))
    world.clock.move_to(NOW + timedelta(hours=14))  # at night a fresh decision would be another
    assert await world.take(received(attempt(b), ce_id="one")) == [told]
    assert await world.take(received(attempt(b), ce_id="two")) == [told]
    assert await world.take(received(attempt(b), ce_id="three"), received(attempt(b), ce_id="four")) == [told, told]
    assert await _rows(world.engine, "SELECT count(*) FROM decision WHERE borrower_id = :b", b=b) == [(1,)]


async def test_a_replay_of_a_revoked_permit_brings_its_revocation(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    [told] = await world.take(received(attempt(b), ce_id="one"))
    [revoked] = await world.take(payment(b))
    assert isinstance(revoked, PermitRevokedV1)
    assert revoked.borrower_sequence == 2
    assert revoked.attempt_ids == (f"{b}-A1",)
    assert await world.take(received(attempt(b), ce_id="one")) == [told, revoked]
    assert await world.take(received(attempt(b), ce_id="two")) == [told, revoked]


async def test_not_made_frees_the_slot_and_a_late_proof_takes_it_again(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    await world.take(attempt(b))
    await world.take(not_made(b, f"{b}-A1", "permit_expired"))
    [second] = await world.take(attempt(b, f"{b}-A2"))
    assert isinstance(second, ContactAllowedV1)
    proof = ContactProgressedV1(
        borrower_id=b,
        attempt_id=f"{b}-A1",
        channel="sms",
        contact_point_id=f"{b}-P1",
        loans=(f"{b}-L1",),
        result="delivered",
        occurred_at=NOW,
        made_at=NOW,
    )
    await world.take(proof, not_made(b, f"{b}-A2", "permit_expired"))
    [third] = await world.take(attempt(b, f"{b}-A3"))
    assert isinstance(third, ContactDeferredV1)


async def test_made_and_unknown_keep_the_slot(world: World, name: Callable[[], str]) -> None:
    for end in ("made", "unknown"):
        b = name()
        await world.known(b)
        await world.take(attempt(b))
        ended = made(b, f"{b}-A1")
        if end == "unknown":
            ended = ContactUnknownV1(  # type: ignore[assignment]
                **{field: getattr(ended, field) for field in ended.__struct_fields__ if field != "made_at"}, sent_at=NOW
            )
        await world.take(ended)
        [second] = await world.take(attempt(b, f"{b}-A2"))
        assert isinstance(second, ContactDeferredV1), end
        [again] = await world.take(attempt(b, submission=2))
        assert isinstance(again, ContactDeniedV1), end  # an attempt is sent once at most


async def test_an_open_permit_puts_the_next_submission_of_its_attempt_off(
    world: World, name: Callable[[], str]
) -> None:
    b = name()
    await world.known(b)
    first, second = await world.take(attempt(b), attempt(b, submission=2))
    assert isinstance(first, ContactAllowedV1)
    assert isinstance(second, ContactDeferredV1)
    assert "platform.attempt" in [rule.rule_id for rule in second.rules if rule.result == "deferred"]
    await world.take(not_made(b, f"{b}-A1", "permit_expired"))
    [third] = await world.take(attempt(b, submission=3))
    assert isinstance(third, ContactAllowedV1)


async def test_what_the_carrier_refused_is_never_tried_again_and_not_counted(
    world: World, name: Callable[[], str]
) -> None:
    b = name()
    await world.known(b)
    await world.take(attempt(b))
    await world.take(not_made(b, f"{b}-A1", "rejected"))
    [again, other] = await world.take(attempt(b, submission=2), attempt(b, f"{b}-A2"))
    assert isinstance(again, ContactDeniedV1)
    assert isinstance(other, ContactAllowedV1)


async def test_a_payment_puts_attempts_off_until_it_is_booked(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    assert await world.take(payment(b)) == []
    [waits] = await world.take(attempt(b))
    assert isinstance(waits, ContactDeferredV1)
    assert "platform.payment" in [rule.rule_id for rule in waits.rules]
    await world.take(_booked(b, f"{b}-L1"), balance(b, version=2, overdue=49_900))
    [stale, fresh] = await world.take(attempt(b, submission=2), attempt(b, submission=3, version=2))
    assert isinstance(stale, ContactDeferredV1)
    assert isinstance(fresh, ContactAllowedV1)


def _booked(b: str, loan_id: str) -> PaymentPostedV1:
    return PaymentPostedV1(
        borrower_id=b,
        loan_id=loan_id,
        payment_id="PAY1",
        currency="CNY",
        amount_minor=100,
        allocated=Amounts(principal_minor=100),
        suspense_minor=0,
        posted_to="loan",
        effective_at=NOW,
    )


async def test_one_payment_id_on_two_loans_is_two_payments(world: World, name: Callable[[], str]) -> None:
    """As in the ledger: what became of the first tells nothing of the second."""
    b = name()
    first, second = f"{b}-L1", f"{b}-L2"
    await world.known(b)
    await world.take(balance(b, loan_id=second))
    await world.take(payment(b), _booked(b, first), balance(b, version=2, overdue=49_900))
    [permit] = await world.take(attempt(b, loans=(_due(second),)))
    assert isinstance(permit, ContactAllowedV1)

    [revoked] = await world.take(payment(b, second))
    assert isinstance(revoked, PermitRevokedV1)
    assert (revoked.reason, revoked.attempt_ids) == ("payment", (f"{b}-A1",))
    await world.take(not_made(b, f"{b}-A1", "revoked"))
    [waits, goes] = await world.take(attempt(b, f"{b}-A2", loans=(_due(second),)), attempt(b, f"{b}-A3", version=2))
    assert isinstance(waits, ContactDeferredV1)
    assert ("platform.payment", "deferred") in {(rule.rule_id, rule.result) for rule in waits.rules}
    assert isinstance(goes, ContactAllowedV1)
    await world.take(not_made(b, f"{b}-A3", "rejected"))

    await world.take(PaymentReversedV1(borrower_id=b, loan_id=first, payment_id="PAY1"), _booked(b, second))
    [goes, waits] = await world.take(attempt(b, f"{b}-A4", loans=(_due(second),)), attempt(b, f"{b}-A5", version=2))
    assert isinstance(goes, ContactAllowedV1)
    assert isinstance(waits, ContactDeferredV1)
    assert ("platform.payment", "deferred") in {(rule.rule_id, rule.result) for rule in waits.rules}


def _due(loan_id: str) -> AttemptLoan:
    return AttemptLoan(
        loan_id=loan_id,
        balance_version=1,
        overdue_minor=50_000,
        due_minor=50_000,
        due_on=date(2026, 9, 1),
        days_past_due=15,
    )


@pytest.mark.parametrize("receipt_first", [True, False])
async def test_a_payment_that_the_balance_does_not_show_revokes_and_puts_off_until_a_new_balance(
    world: World, name: Callable[[], str], receipt_first: bool
) -> None:
    b = name()
    await world.known(b)
    [permit] = await world.take(attempt(b))
    assert isinstance(permit, ContactAllowedV1)
    told = [payment(b), late_payment(b)]
    [revoked] = [each for fact in (told if receipt_first else told[::-1]) for each in await world.take(fact)]
    assert isinstance(revoked, PermitRevokedV1)
    assert (revoked.reason, revoked.attempt_ids) == ("payment", (f"{b}-A1",))
    await world.take(not_made(b, f"{b}-A1", "revoked"))
    [waits] = await world.take(attempt(b, f"{b}-A2"))
    assert isinstance(waits, ContactDeferredV1)
    assert waits.next_legal_instant == NOW + timedelta(hours=24)
    assert "platform.payment" in [rule.rule_id for rule in waits.rules]
    await world.take(balance(b, version=2, overdue=40_000))
    [goes] = await world.take(attempt(b, f"{b}-A3", version=2))
    assert isinstance(goes, ContactAllowedV1)


@pytest.mark.parametrize(
    "known",
    [
        ("newer balance first", [("balance", 2), ("late", 1)], 2),
        ("newer balance last", [("late", 1), ("balance", 2)], 2),
        ("posted a day ago", [("old", 1)], 1),
        ("reversed", [("late", 1), ("reversed", 0)], 1),
        ("reversed first", [("reversed", 0), ("late", 1)], 1),
    ],
    ids=lambda known: known[0],
)
async def test_a_payment_that_the_balance_shows_by_now_or_that_is_gone_puts_nothing_off(
    world: World, name: Callable[[], str], known: tuple[str, list[tuple[str, int]], int]
) -> None:
    b, (_, facts, version) = name(), known
    await world.known(b)
    unposted = PaymentUnpostedV1(
        borrower_id=b, loan_id=f"{b}-L1", payment_id="PAY1", currency="CNY", amount_minor=10_000, effective_at=NOW
    )
    for fact, of_version in facts:
        match fact:
            case "balance":
                await world.take(balance(b, version=of_version))
            case "reversed":
                await world.take(unposted)
            case _:
                at = NOW if fact == "late" else NOW - timedelta(hours=24)
                await world.take(late_payment(b, version=of_version, at=at))
    [told] = await world.take(attempt(b, version=version))
    assert isinstance(told, ContactAllowedV1)


@pytest.mark.parametrize("cause", ["payment", "reversal", "repost"])
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "one by one"])
async def test_another_payment_on_the_loan_ends_no_wait_for_one_that_the_balance_does_not_show(
    world: World, name: Callable[[], str], cause: str, together: bool
) -> None:
    """The second payment makes a balance of its own; the first is shown by no balance before the next snapshot."""
    b = name()
    await world.known(b)
    second = balance(b, version=2, overdue=30_000, cause=cause)
    for batch in ([late_payment(b), second],) if together else ([late_payment(b)], [second]):
        await world.take(*batch)
    [waits] = await world.take(attempt(b, version=2))
    assert isinstance(waits, ContactDeferredV1)
    assert ("platform.payment", "deferred") in {(rule.rule_id, rule.result) for rule in waits.rules}

    third = balance(b, version=4, overdue=20_000, cause="payment")
    await world.take(*([third, balance(b, version=3, overdue=20_000)] if together else [third]))
    if not together:
        await world.take(balance(b, version=3, overdue=20_000))  # the snapshot arrives after what came later
    [goes] = await world.take(attempt(b, f"{b}-A2", version=4))
    assert isinstance(goes, ContactAllowedV1)


async def test_a_new_balance_revokes_what_would_say_an_old_amount_and_nothing_else(
    world: World, name: Callable[[], str]
) -> None:
    b = name()
    await world.known(b)
    await world.take(attempt(b))
    [revoked] = await world.take(balance(b, version=2))
    assert isinstance(revoked, PermitRevokedV1)
    assert (revoked.reason, revoked.scope.loans) == ("balance", (f"{b}-L1",))
    await world.take(not_made(b, f"{b}-A1", "revoked"))
    [told] = await world.take(attempt(b, submission=2, version=2))
    assert isinstance(told, ContactAllowedV1)
    assert await world.take(received(balance(b, version=2), ce_id="other")) == []
    assert await world.take(balance(b, version=1)) == []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("stop_reply", "opt_out"),
        ("wrong_person", "opt_out"),
        ("dispute_reply", "restriction"),
        ("distress", "restriction"),
        ("opt_out", "opt_out"),
        ("restriction", "restriction"),
        ("closure", "closure"),
        ("number_gone", "contact_point"),
        ("other_zone", "contact_point"),
        ("stop_order", "stop"),
        ("external", "contact"),
    ],
)
async def test_facts_that_forbid_a_contact_revoke_its_permit_and_stop_the_next(
    world: World, name: Callable[[], str], kind: str, reason: str
) -> None:
    b = name()
    await world.known(b)
    [allowed] = await world.take(attempt(b))
    assert isinstance(allowed, ContactAllowedV1)
    [revoked] = await world.take(received(_fact(kind, b), at=NOW + timedelta(seconds=1)))
    assert isinstance(revoked, PermitRevokedV1)
    assert (revoked.reason, revoked.borrower_sequence) == (reason, 2)
    await world.take(not_made(b, f"{b}-A1", "revoked"))
    [told] = await world.take(attempt(b, submission=2))
    assert not isinstance(told, ContactAllowedV1)


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "one by one"])
@pytest.mark.parametrize("region", ["CN", "US-NY"])
async def test_an_opt_out_is_confirmed_once_whatever_the_caps_and_nothing_else_passes(
    world: World, name: Callable[[], str], region: str, together: bool
) -> None:
    b = name()
    await world.known(b)
    number = f"+86139001390{region == 'CN':d}{together:d}"  # its own: a stop holds for everybody with the number
    await world.take(received(borrower(b, region=region, numbers=(number,)), at=NOW + timedelta(seconds=1)))
    [allowed] = await world.take(attempt(b))
    assert isinstance(allowed, ContactAllowedV1)
    await world.take(made(b, f"{b}-A1"))
    stop = received(_fact("stop_reply", b), at=NOW + timedelta(seconds=2))
    asked: list[Any] = [
        attempt(b, f"{b}-C1", purpose="opt_out_confirmation"),
        attempt(b, f"{b}-C2", purpose="opt_out_confirmation"),
        attempt(b, f"{b}-A2"),
    ]
    if together:
        told = await world.take(stop, *asked)
    else:
        told = [message for one in (stop, *asked) for message in await world.take(one)]
    first, second, demand = told
    assert isinstance(first, ContactAllowedV1)
    assert isinstance(second, ContactDeniedV1)
    assert isinstance(demand, ContactDeniedV1)
    assert {second.reason, demand.reason} <= {"courteous.opt-out", "cn.refused-medium", "us-reg-f.opt-out"}

    await world.take(made(b, f"{b}-C1"))
    [third] = await world.take(attempt(b, f"{b}-C3", purpose="opt_out_confirmation"))
    assert isinstance(third, ContactDeniedV1)


def _fact(kind: str, b: str) -> Message:
    reply = {"borrower_id": b, "channel": "sms", "received_at": NOW, "contact_point_id": f"{b}-P1"}
    match kind:
        case "stop_reply":
            return ReplyReceivedV1(reply_id=f"{b}-r", intent="stop", **reply)  # type: ignore[arg-type]
        case "wrong_person":
            return ReplyReceivedV1(reply_id=f"{b}-r", intent="wrong_person", **reply)  # type: ignore[arg-type]
        case "dispute_reply":
            return ReplyReceivedV1(reply_id=f"{b}-r", intent="dispute", loans=(f"{b}-L1",), **reply)  # type: ignore[arg-type]
        case "distress":
            return ReplyReceivedV1(reply_id=f"{b}-r", intent="distress", **reply)  # type: ignore[arg-type]
        case "opt_out":
            return ConsentChangedV1(
                borrower_id=b, consent_id="c", kind="opt_out", in_force=True, effective_from=NOW, channel="sms"
            )
        case "restriction":
            return RestrictionChangedV1(
                borrower_id=b, restriction_id="r", kind="attorney", active=True, effective_from=NOW
            )
        case "closure":
            return LoanClosedV1(borrower_id=b, loan_id=f"{b}-L1", reason="paid")
        case "number_gone":
            return borrower(b, numbers=())
        case "other_zone":
            return borrower(b, zones=("America/New_York",))
        case "stop_order":
            return StopOrderedV1(
                borrower_id=b, stop_id=b, kind="borrower", value=b, reason="why", ordered_by="me", ordered_at=NOW
            )
        case "external":
            return ExternalContactMadeV1(
                borrower_id=b,
                contact_id="x",
                channel="sms",
                direction="outbound",
                result="delivered",
                made_at=NOW,
                made_by="agency",
                loans=(f"{b}-L1",),
            )
    raise AssertionError(kind)


def payment(b: str, loan_id: str | None = None) -> PaymentReceivedV1:
    loan = loan_id or f"{b}-L1"
    return PaymentReceivedV1(borrower_id=b, loan_id=loan, payment_id="PAY1", currency="CNY", amount_minor=100)


async def test_facts_without_an_open_permit_revoke_nothing(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    for kind in ("stop_reply", "dispute_reply", "closure", "external"):
        assert await world.take(_fact(kind, b)) == []


async def test_a_restriction_that_was_lifted_later_revokes_nothing_when_it_arrives_late(
    world: World, name: Callable[[], str]
) -> None:
    b = name()
    await world.known(b)
    await world.take(attempt(b))
    restriction = {"borrower_id": b, "restriction_id": "r", "kind": "dispute", "effective_from": NOW}
    lifted = RestrictionChangedV1(active=False, **restriction)  # type: ignore[arg-type]
    imposed = RestrictionChangedV1(active=True, **restriction)  # type: ignore[arg-type]
    assert await world.take(received(lifted, at=NOW + timedelta(seconds=5))) == []
    assert await world.take(received(imposed, at=NOW)) == []


async def test_a_stop_on_a_shared_number_holds_for_everybody_who_has_it(world: World, name: Callable[[], str]) -> None:
    a, b, c = name(), name(), name()
    shared = f"+86139{int(a[1:]):08d}"
    await world.take(borrower(a, numbers=(shared,)), balance(a), borrower(b, numbers=(shared,)), balance(b))
    [allowed] = await world.take(attempt(b))
    assert isinstance(allowed, ContactAllowedV1)
    [revoked] = await world.take(_fact("stop_reply", a))
    assert isinstance(revoked, PermitRevokedV1)
    assert (revoked.borrower_id, revoked.scope.contact_point_id) == (b, f"{b}-P1")
    await world.take(borrower(c, numbers=(shared,)), balance(c))
    [refused] = await world.take(attempt(c))
    assert isinstance(refused, ContactDeniedV1)
    assert refused.reason in ("courteous.opt-out", "cn.refused-medium")


async def test_a_stop_that_came_before_the_number_was_known_holds_as_well(
    world: World, name: Callable[[], str]
) -> None:
    a, b = name(), name()
    shared = f"+86137{int(a[1:]):08d}"
    await world.take(borrower(b, numbers=(shared,)), balance(b))
    await world.take(_fact("stop_reply", a))
    [allowed] = await world.take(attempt(b))
    assert isinstance(allowed, ContactAllowedV1)
    [revoked] = await world.take(borrower(a, numbers=(shared,)))
    assert (revoked.borrower_id, revoked.reason) == (b, "opt_out")


async def test_unanswered_calls_to_a_shared_number_count_for_everybody_who_has_it(
    world: World, name: Callable[[], str]
) -> None:
    a, b = name(), name()
    shared = f"+86136{int(a[1:]):08d}"
    await world.take(borrower(a, numbers=(shared,)), balance(a), borrower(b, numbers=(shared,)), balance(b))
    calls = [
        ExternalContactMadeV1(
            borrower_id=a,
            contact_id=f"x{number}",
            channel="voice",
            direction="outbound",
            result="no_answer",
            made_at=NOW - timedelta(minutes=number),
            made_by="agency",
            loans=(f"{a}-L1",),
            contact_point_id=f"{a}-P1",
        )
        for number in range(1, 7)
    ]
    await world.take(*calls)
    [told] = await world.take(attempt(b, channel="voice"))
    assert isinstance(told, ContactHeldV1)  # the guideline says "not advisable"


async def test_held_is_allowed_after_a_person_approved_and_only_what_they_saw(
    world: World, name: Callable[[], str]
) -> None:
    b = name()
    await world.known(b)
    await world.take(_fact("distress", b))
    [held] = await world.take(attempt(b))
    assert isinstance(held, ContactHeldV1)
    approval = Approval(decision_id=held.decision_id, approved_by="li", reason="spoke to her")
    [unknown] = await world.take(attempt(b, submission=2, approval=approval))
    assert isinstance(unknown, ContactHeldV1)  # the gate itself was not told of the approval
    review = HeldReviewedV1(
        borrower_id=b,
        decision_id=held.decision_id,
        attempt_id=f"{b}-A1",
        submission_number=1,
        approved=True,
        reviewed_by="li",
        reason="spoke to her",
        reviewed_at=NOW,
    )
    await world.take(review)
    [told] = await world.take(attempt(b, submission=3, approval=approval))
    assert isinstance(told, ContactAllowedV1)


async def test_a_stop_of_everything_denies_until_it_is_lifted(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    scope = {"borrower_id": "all", "stop_id": "s", "kind": "all", "value": "all", "reason": "incident"}
    await world.take(StopOrderedV1(ordered_by="me", ordered_at=NOW, **scope))  # type: ignore[arg-type]
    [stopped] = await world.take(attempt(b))
    world.clock.move_to(NOW + timedelta(minutes=1))
    await world.take(StopLiftedV1(lifted_by="me", lifted_at=NOW, **scope))  # type: ignore[arg-type]
    [told] = await world.take(attempt(b, f"{b}-A2"))
    assert isinstance(stopped, ContactDeniedV1)
    assert stopped.reason == "platform.stop"
    assert isinstance(told, ContactAllowedV1)
    assert await _rows(world.engine, "SELECT 1 FROM borrower WHERE borrower_id = 'all'") == []
