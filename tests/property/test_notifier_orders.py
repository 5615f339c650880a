"""Whatever the order of arrival: permits, revocations, stops, receipts and sending come to the same, at most once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.permits import Stop, forbids
from notifier.domain.rates import TokenBucket
from notifier.domain.receipts import RESULT_OF, Receipt, ReceiptStatus, standing_result
from notifier.handlers.desk import Desk
from notifier.handlers.outgoing import ends_of_permits
from notifier.handlers.permits import keep_stops, take_decisions
from notifier.handlers.receipts import apply_waiting, take_receipts
from notifier.loops.requests import Pace, Sending
from notifier.loops.sending import DispatchLoop, LookupLoop, ResultLoop
from shared.clock import VirtualClock
from shared.contracts import ContactMadeV1, ContactNotMadeV1, ContactProgressedV1, ContactUnknownV1
from tests.notifier_world.fakes import FakePermits, FakeProvider, FakeReceipts, FakeWork, PlainSealer, PlainTexts
from tests.notifier_world.messages import START, allowed, lifted, received, revoked, stopped

PACE = Pace(rate_per_second=1e6, requests_max=64, claim_records_max=64, lease_seconds=30, timeout_seconds=10)


class Replica:
    """A notifier over fakes. Every action is one of those that a process takes, in whatever order a test likes."""

    def __init__(self, *, status: int = 202) -> None:
        self.clock = VirtualClock(START)
        self.provider = FakeProvider()
        self.provider.answers["A1"] = status
        self.store = FakePermits(providers={"sms": "fake"})
        self.receipts = FakeReceipts(self.store)
        self.work = FakeWork()
        unused = cast("Any", None)
        self.desk = Desk(
            permits=self.store,
            contacts=unused,
            receipts=self.receipts,
            inbound=unused,
            deliveries=unused,
            sealer=PlainSealer(),
            clock=self.clock,
            default_zone="Asia/Shanghai",
        )
        sending = Sending(
            desk=self.desk,
            work=self.work,
            texts=PlainTexts(),
            owner="one",
            in_flight=lambda change: None,
            wake=lambda name: None,
        )
        self.results = ResultLoop(sending)
        self.dispatch_loop = DispatchLoop(sending, self.provider, self.results, PACE)
        self.lookups = LookupLoop(sending, {"sms": self.provider}, self.results, lease_seconds=30)

    async def take(self, action: Any) -> None:
        """A message arrives, a receipt arrives, or (by name) something is done."""
        match action:
            case "send":
                await self.dispatch_loop.run_once()
                await self.dispatch_loop.drain()
            case "write":
                await self.results.run_once()
            case "lose the leases":
                self.store.let_leases_run_out()
            case "look up":
                await self.lookups.run_once()
            case "end":
                await self.end(START)
            case Receipt():
                async with self.work.begin() as tx:
                    await self.work.publish(tx, await take_receipts(tx, [action], desk=self.desk))
            case _:
                await self._consume(action)

    async def _consume(self, message: Any) -> None:
        handler = keep_stops if hasattr(message, "stop_id") else take_decisions
        async with self.work.begin() as tx:
            await self.work.publish(tx, await handler(tx, [received(message)], desk=self.desk))

    async def end(self, now: Any) -> None:
        async with self.work.begin() as tx:
            ends = [
                *await self.store.end_blocked(tx, now=now, borrower_ids=None, limit=100),
                *await self.store.end_expired(tx, now=now, limit=100),
            ]
            await self.work.publish(tx, ends_of_permits(ends, now=now))

    async def finish(self) -> None:
        """Everything that was begun comes to its end."""
        for action in ("end", "send", "write", "lose the leases", "look up", "write"):
            await self.take(action)
        async with self.work.begin() as tx:
            _, messages = await apply_waiting(tx, desk=self.desk, limit=100)
            await self.work.publish(tx, messages)
        await self.end(START + timedelta(days=1))

    def end_of(self, attempt_id: str) -> str:
        return next(held.state for key, held in self.store.held.items() if key[1] == attempt_id)


def run(actions: Sequence[Any], *, status: int = 202) -> Replica:
    async def all_of_it() -> Replica:
        replica = Replica(status=status)
        for action in actions:
            await replica.take(action)
        await replica.finish()
        return replica

    return asyncio.run(all_of_it())


def receipt(receipt_id: str, status: ReceiptStatus, attempt_id: str = "A1") -> Receipt:
    return Receipt(
        receipt_id=receipt_id,
        attempt_id=attempt_id,
        message_id="M",
        channel="sms",
        status=status,
        occurred_at=START,
    )


FIRST, SECOND = allowed("B1", "A1", sequence=1), allowed("B1", "A2", sequence=3)
REVOKED = revoked("B1", sequence=2)
STOP, LIFT = stopped("borrower", "B1"), lifted("borrower", "B1", at=START + timedelta(seconds=1))
DELIVERED, FAILED = receipt("r1", "delivered"), receipt("r2", "failed")


@given(st.permutations([FIRST, SECOND, REVOKED]))
def test_a_permit_and_its_revocation_end_the_same_in_every_order(order: list[Any]) -> None:
    replica = run(order)
    assert (replica.end_of("A1"), replica.end_of("A2")) == ("not_made", "made")
    assert [request.attempt_id for request in replica.provider.requests] == ["A2"]


@given(st.permutations([FIRST, REVOKED, STOP, DELIVERED, FAILED, DELIVERED]))
def test_a_receipt_counts_the_contact_in_every_order(order: list[Any]) -> None:
    replica = run(order)
    assert replica.end_of("A1") == "made"
    assert replica.provider.requests == []
    assert replica.receipts.results == {"A1": "delivered"}
    kinds = Counter(type(outgoing.message) for outgoing in replica.work.published)
    assert kinds[ContactMadeV1] == 1
    assert kinds[ContactProgressedV1] == 2


@given(st.permutations([STOP, LIFT, STOP]))
def test_the_latest_of_a_stop_and_its_lifting_holds_in_every_order(order: list[Any]) -> None:
    replica = run([*order, FIRST])
    assert replica.end_of("A1") == "made"


EVENTS: list[Any] = [FIRST, SECOND, REVOKED, STOP, LIFT, DELIVERED, FAILED]
DEEDS: list[Any] = ["send", "send", "write", "write", "lose the leases", "look up", "end"]
ACTIONS = st.lists(st.sampled_from([*EVENTS, *DEEDS]), max_size=14)


@settings(max_examples=150)
@given(ACTIONS, st.sampled_from([202, 422, 500, 0]))
def test_no_order_of_events_sends_twice_or_ends_twice(actions: list[Any], status: int) -> None:
    replica = run([*actions, FIRST, SECOND], status=status)
    asked = Counter(request.attempt_id for request in replica.provider.requests)
    assert all(times == 1 for times in asked.values())
    for attempt_id in ("A1", "A2"):
        ends = [
            type(outgoing.message)
            for outgoing in replica.work.published
            if isinstance(outgoing.message, (ContactMadeV1, ContactNotMadeV1, ContactUnknownV1))
            and outgoing.message.attempt_id == attempt_id
        ]
        assert len(ends) == len(set(ends)), "each end is told once"
        assert ends, "every permit ends"
        rank = [(ContactNotMadeV1, ContactUnknownV1, ContactMadeV1).index(end) for end in ends]
        assert rank == sorted(rank), "an end only rises"
        last = {ContactNotMadeV1: "not_made", ContactUnknownV1: "unknown", ContactMadeV1: "made"}[ends[-1]]
        assert last == replica.end_of(attempt_id)
    if replica.end_of("A1") == "not_made" and asked["A1"]:
        assert status == 422, "only a rejection says of a request that it was not made"


@settings(max_examples=80)
@given(ACTIONS, st.integers(0, 14))
def test_nothing_is_sent_once_its_revocation_or_a_stop_is_known(actions: list[Any], position: int) -> None:
    async def check() -> None:
        replica = Replica()
        before = [a for a in actions[:position] if a is not LIFT]
        for action in before:
            await replica.take(action)
        sent_before = len([r for r in replica.provider.requests if r.attempt_id == "A1"])
        await replica.take(REVOKED)
        for action in [FIRST, *actions[position:], FIRST]:
            await replica.take(action)
        await replica.finish()
        assert len([r for r in replica.provider.requests if r.attempt_id == "A1"]) == sent_before

    asyncio.run(check())


STATUSES: list[ReceiptStatus] = list(RESULT_OF)


@given(st.lists(st.sampled_from(STATUSES), max_size=8), st.randoms(use_true_random=False))
def test_receipts_in_any_order_and_number_converge(statuses: list[ReceiptStatus], random: Any) -> None:
    results = [RESULT_OF[status] for status in statuses]
    shuffled = results * 2
    random.shuffle(shuffled)
    assert standing_result(shuffled) == standing_result(results)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=6))
def test_the_latest_order_about_a_stop_is_the_one_that_holds(orders: list[tuple[bool, int]]) -> None:
    stops = [
        Stop(stop_id="s", kind="all", value="all", changed_at=START + timedelta(seconds=s), lifted=is_lifted)
        for is_lifted, s in orders
    ]
    latest = max(second for _, second in orders)
    in_force = any(not is_lifted for is_lifted, second in orders if second == latest)
    permit = run([FIRST]).store.held[("B1", "A1", 1)].permit
    assert forbids(max(stops, key=lambda stop: stop.order), permit, provider="fake") == in_force


@given(
    st.floats(0.5, 1_000),
    st.integers(1, 100),
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 100)), max_size=30),
)
def test_a_token_bucket_never_gives_more_than_its_rate_and_its_burst(
    rate: float, burst: int, steps: list[tuple[float, int]]
) -> None:
    bucket = TokenBucket(rate_per_second=rate, burst=burst, tokens=burst, filled_at_seconds=0.0)
    now, taken = 0.0, 0
    for pause, wanted in steps:
        now += pause
        bucket = bucket.filled(now)
        count = min(wanted, int(bucket.tokens))
        bucket = bucket.taken(count)
        taken += count
        assert taken <= burst + rate * now + 1e-6
        assert bucket.tokens >= 0
