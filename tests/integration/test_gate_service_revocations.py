from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts import (
    ContactAllowedV1,
    ContactDeniedV1,
    ContactHeldV1,
    ExternalContactMadeV1,
    PermitRevokedV1,
    RestrictionChangedV1,
    StopLiftedV1,
    StopOrderedV1,
)
from tests.gate_service_world import NOW, World, attempt, balance, borrower, received
from tests.integration import gate_bench
from tests.integration.gate_bench import fact, made, not_made, rows

gate_url, world, name = gate_bench.gate_url, gate_bench.world, gate_bench.name


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
    [revoked] = await world.take(received(fact(kind, b), at=NOW + timedelta(seconds=1)))
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
    stop = received(fact("stop_reply", b), at=NOW + timedelta(seconds=2))
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


async def test_facts_without_an_open_permit_revoke_nothing(world: World, name: Callable[[], str]) -> None:
    b = name()
    await world.known(b)
    for kind in ("stop_reply", "dispute_reply", "closure", "external"):
        assert await world.take(fact(kind, b)) == []


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


async def test_a_death_ends_the_permits_of_every_loan_whatever_loans_it_names(
    world: World, name: Callable[[], str]
) -> None:
    b = name()
    await world.known(b)
    await world.take(attempt(b))
    told = {"borrower_id": b, "active": True, "effective_from": NOW, "loans": ("another loan",)}
    disputed = RestrictionChangedV1(restriction_id="r1", kind="dispute", **told)  # type: ignore[arg-type]
    assert await world.take(disputed) == []
    [revoked] = await world.take(RestrictionChangedV1(restriction_id="r2", kind="deceased", **told))  # type: ignore[arg-type]
    assert isinstance(revoked, PermitRevokedV1)
    assert revoked.scope.loans is None
    [denied] = await world.take(attempt(b, f"{b}-A2"))
    assert isinstance(denied, ContactDeniedV1)


async def test_a_stop_on_a_shared_number_holds_for_everybody_who_has_it(world: World, name: Callable[[], str]) -> None:
    a, b, c = name(), name(), name()
    shared = f"+86139{int(a[1:]):08d}"
    await world.take(borrower(a, numbers=(shared,)), balance(a), borrower(b, numbers=(shared,)), balance(b))
    [allowed] = await world.take(attempt(b))
    assert isinstance(allowed, ContactAllowedV1)
    [revoked] = await world.take(fact("stop_reply", a))
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
    await world.take(fact("stop_reply", a))
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
    assert await rows(world.engine, "SELECT 1 FROM borrower WHERE borrower_id = 'all'") == []
