from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from compliance_gate.adapters.evidence import replay
from shared.contracts import (
    ContactAllowedV1,
    ContactDeferredV1,
    ContactDeniedV1,
    ContactHeldV1,
    ContactProgressedV1,
    ContactUnknownV1,
    HeldReviewedV1,
    PermitRevokedV1,
)
from shared.contracts.attempts import Approval
from tests.gate_service_world import BOOK, NOW, World, attempt, balance, borrower, received
from tests.integration import gate_bench
from tests.integration.gate_bench import fact, made, not_made, payment, rows

gate_url, world, name = gate_bench.gate_url, gate_bench.world, gate_bench.name


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
    stored = await rows(world.engine, "SELECT verdict, evidence FROM decision WHERE borrower_id = :b", b=b)
    verdicts = {type(replay(evidence, BOOK)).__name__.lower() for _, evidence in stored}  # type: ignore[arg-type]
    assert {verdict for verdict, _ in stored} == verdicts == {"allowed", "deferred"}


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


async def test_a_contact_counts_also_where_the_clock_that_told_of_it_is_ahead(
    world: World, name: Callable[[], str]
) -> None:
    b = name()
    await world.known(b)
    await world.take(attempt(b))
    await world.take(made(b, f"{b}-A1", made_at=NOW + timedelta(seconds=2)))
    [told] = await world.take(attempt(b, f"{b}-A2"))
    assert isinstance(told, ContactDeferredV1)
    assert ("courteous.sms-a-day", "deferred") in [(rule.rule_id, rule.result) for rule in told.rules]


@pytest.mark.parametrize("kind", ["stop_reply", "wrong_person", "dispute_reply", "distress"])
async def test_what_a_borrower_says_holds_also_where_the_clock_that_took_it_in_is_ahead(
    world: World, name: Callable[[], str], kind: str
) -> None:
    b = name()
    await world.known(b)
    await world.take(msgspec.structs.replace(fact(kind, b), received_at=NOW + timedelta(seconds=2)))
    [told] = await world.take(attempt(b))
    assert not isinstance(told, ContactAllowedV1)


async def test_a_slot_counts_also_at_a_replica_whose_clock_is_behind(world: World, name: Callable[[], str]) -> None:
    b, behind = name(), World(world.engine)
    await world.known(b)
    world.clock.move_to(NOW + timedelta(seconds=2))
    assert isinstance((await world.take(attempt(b)))[0], ContactAllowedV1)
    [told] = await behind.take(attempt(b, f"{b}-A2"))
    assert isinstance(told, ContactDeferredV1)


async def test_a_replay_gets_the_stored_decision_whatever_its_event_id(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    [told] = await world.take(received(attempt(b), ce_id="one"))
    world.clock.move_to(NOW + timedelta(hours=14))  # at night a fresh decision would be another
    assert await world.take(received(attempt(b), ce_id="one")) == [told]
    assert await world.take(received(attempt(b), ce_id="two")) == [told]
    assert await world.take(received(attempt(b), ce_id="three"), received(attempt(b), ce_id="four")) == [told, told]
    assert await rows(world.engine, "SELECT count(*) FROM decision WHERE borrower_id = :b", b=b) == [(1,)]


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


async def test_held_is_allowed_after_a_person_approved_and_only_what_they_saw(
    world: World, name: Callable[[], str]
) -> None:
    b = name()
    await world.known(b)
    await world.take(fact("distress", b))
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
