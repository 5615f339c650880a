"""What became of a promise depends on what was said and paid when, not on the order in which it was learned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.promises import (
    PaidAmount,
    Promise,
    PromiseTerms,
    announcement_id,
    grace_end,
    open_promise,
    settle,
)
from shared.contracts import ReplyReceivedV1

START = datetime(2026, 9, 10, 4, tzinfo=UTC)
TERMS = PromiseTerms(grace_days=1, default_days=3, ahead_days_max=30)
ZONES = ["Asia/Shanghai", "America/New_York", "America/Los_Angeles", "Pacific/Auckland", "America/St_Johns"]

instants = st.integers(0, 20 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))
payments = st.builds(
    PaidAmount, at=instants, currency=st.sampled_from(["CNY", "USD"]), amount_minor=st.integers(1, 600)
)


@st.composite
def replies(draw: st.DrawFn, number: int) -> ReplyReceivedV1:
    return ReplyReceivedV1(
        borrower_id="B1",
        reply_id=f"R{number}",
        channel="sms",
        received_at=draw(instants),
        intent="promise",
        promised_minor=draw(st.integers(1, 1_000)),
        currency=draw(st.sampled_from(["CNY", "USD"])),
        promised_on=date(2026, 9, 10) + timedelta(days=draw(st.integers(-2, 50))),
    )


@st.composite
def promises(draw: st.DrawFn) -> list[Promise]:
    some_zones = st.lists(st.sampled_from(ZONES), max_size=2)
    told = [(draw(replies(number)), draw(some_zones)) for number in range(draw(st.integers(1, 4)))]
    return [opened(reply, zones) for reply, zones in told]


def opened(reply: ReplyReceivedV1, zones: list[str]) -> Promise:
    return open_promise(reply, zones, TERMS)


def learned(
    told: Sequence[Promise], paid: Sequence[PaidAmount], order: Sequence[int], now: datetime
) -> dict[str, tuple[str | None, int]]:
    """The promises after learning of everything one by one, each at a time when all of it had happened."""
    known: dict[str, Promise] = {}
    known_payments: list[PaidAmount] = []
    everything: list[Promise | PaidAmount] = [*told, *paid]
    for index in order:
        one = everything[index]
        if isinstance(one, Promise):
            known[one.promise_id] = one
        else:
            known_payments.append(one)
        for changed in settle(list(known.values()), known_payments, now):
            known[changed.promise_id] = changed
    return {promise_id: (promise.state, promise.paid_minor) for promise_id, promise in known.items()}


@settings(max_examples=300)
@given(st.data())
def test_any_order_of_replies_and_payments_gives_the_same_promises(data: st.DataObject) -> None:
    told, paid = data.draw(promises()), data.draw(st.lists(payments, max_size=6))
    now = data.draw(instants)
    count = len(told) + len(paid)
    order = data.draw(st.permutations(range(count)))
    assert learned(told, paid, order, now) == learned(told, paid, range(count), now)


@settings(max_examples=200)
@given(promises(), st.lists(payments, max_size=6), instants)
def test_settling_again_changes_nothing_and_one_promise_a_currency_is_open(
    told: list[Promise], paid: list[PaidAmount], now: datetime
) -> None:
    known = {promise.promise_id: promise for promise in told}
    for changed in settle(told, paid, now):
        known[changed.promise_id] = changed
    assert settle(list(known.values()), paid, now) == []
    open_currencies = [promise.currency for promise in known.values() if promise.state == "open"]
    assert len(open_currencies) == len(set(open_currencies))


@settings(max_examples=200)
@given(promises(), st.lists(payments, max_size=6), st.lists(instants, min_size=2, max_size=5))
def test_each_change_of_state_is_announced_under_a_new_id_and_a_later_instant(
    told: list[Promise], paid: list[PaidAmount], times: list[datetime]
) -> None:
    known = {promise.promise_id: promise for promise in told}
    announced: list[str] = []
    said: dict[str, datetime] = {}
    for index, now in enumerate(sorted(times)):
        before = {promise_id: promise.state for promise_id, promise in known.items()}
        for changed in settle(list(known.values()), paid[: index + 1], now):
            known[changed.promise_id] = changed
            if changed.state != before[changed.promise_id]:
                announced.append(announcement_id(changed))
                assert changed.said_at is not None
                assert changed.promise_id not in said or changed.said_at > said[changed.promise_id]
                said[changed.promise_id] = changed.said_at
    assert len(announced) == len(set(announced))


@given(st.dates(date(2026, 1, 1), date(2027, 12, 31)), st.integers(0, 5), st.lists(st.sampled_from(ZONES), min_size=1))
def test_grace_ends_when_the_last_grace_day_is_over_in_every_zone(on: date, days: int, zones: list[str]) -> None:
    end = grace_end(on, days, zones)
    last_day = on + timedelta(days=days)
    assert all(end.astimezone(ZoneInfo(zone)).date() > last_day for zone in zones)
    assert any((end - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() == last_day for zone in zones)


@given(st.integers(-400, 4_000), st.sampled_from(ZONES), instants)
def test_a_promised_date_is_between_the_day_of_the_reply_and_thirty_days_on(days: int, zone: str, at: datetime) -> None:
    today = at.astimezone(ZoneInfo(zone)).date()
    reply = ReplyReceivedV1(
        borrower_id="B1",
        reply_id="R1",
        channel="sms",
        received_at=at,
        intent="promise",
        promised_on=today + timedelta(days=days),
    )
    promise = open_promise(reply, [zone], TERMS)
    assert today <= promise.promised_on <= today + timedelta(days=30)
