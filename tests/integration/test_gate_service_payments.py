from collections.abc import Callable
from datetime import date, timedelta

import pytest

from shared.contracts import (
    ContactAllowedV1,
    ContactDeferredV1,
    PaymentPostedV1,
    PaymentReversedV1,
    PaymentUnpostedV1,
    PermitRevokedV1,
)
from shared.contracts.attempts import AttemptLoan
from shared.contracts.types import Amounts
from tests.gate_service_world import NOW, World, attempt, balance, late_payment, received
from tests.integration import gate_bench
from tests.integration.gate_bench import not_made, payment

gate_url, world, name = gate_bench.gate_url, gate_bench.world, gate_bench.name


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
