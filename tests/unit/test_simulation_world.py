from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import phonenumbers
import pytest
from phonenumbers import timezone

from decorum_simulation.carrier.conduct import CarrierChannel
from decorum_simulation.carrier.exchange import Delivery, Inbound
from decorum_simulation.lender.accounts import COLUMNS, read_accounts
from decorum_simulation.lender.events import LenderEvent
from decorum_simulation.lender.people import american_person, chinese_person
from decorum_simulation.virtual_world import Plan, VirtualWorld
from shared.contracts import (
    LoanClosedV1,
    LoanOverdueV1,
    LoanRegisteredV1,
    Message,
    PaymentReceivedV1,
    PaymentReversedV1,
)
from shared.contracts.validation import check
from shared.errors import Rejection

START = datetime(2026, 9, 14, 16, tzinfo=UTC)
PERSONAL = ("sex", "education", "marriage", "age")


def _plan(portfolio: Path | None = None, *, borrowers: int = 60, days: int = 12) -> Plan:
    return Plan(
        borrowers=borrowers,
        start=START,
        end=START + timedelta(days=days),
        tick=timedelta(hours=2),
        seed=11,
        portfolio=portfolio,
    )


def _live(plan: Plan, channel: CarrierChannel = "sms") -> tuple[list[tuple[datetime, LenderEvent]], list[Inbound]]:
    """A month in which every text, or call, of a made-up notifier arrives at noon."""
    world = VirtualWorld(plan=plan)
    published, said, now = [], [], plan.start
    while now < plan.end:
        news = world.live(now)
        published += [(now, event) for event in news.events]
        said += news.inbound
        if now.hour == 4:
            people = sorted(world.core.people.values(), key=lambda p: p.borrower_id)
            world.react([_delivery(p.borrower_id, p.numbers[0].value, now, channel) for p in people], now)
        now = max(world.next_tick or plan.end, now + plan.tick)
    return published, said


def _delivery(borrower_id: str, number: str, at: datetime, channel: CarrierChannel) -> Delivery:
    attempt_id = f"{borrower_id} {at.date()}"
    return Delivery(
        number=1,
        at=at,
        channel=channel,
        kind="delivered" if channel == "sms" else "answered",
        to=number,
        attempt_id=attempt_id,
        message_id=attempt_id,
        text="",
    )


def test_the_same_seed_makes_the_same_month() -> None:
    first, second = _live(_plan()), _live(_plan())

    assert [(at, event.wire()) for at, event in first[0]] == [(at, event.wire()) for at, event in second[0]]
    assert [(i.inbound_id, i.text, i.at) for i in first[1]] == [(i.inbound_id, i.text, i.at) for i in second[1]]
    assert first[1]


def test_whoever_picks_up_confirms_before_any_other_key_and_a_wrong_person_says_nothing_more() -> None:
    pressed: dict[str | None, str] = {}
    for inbound in _live(_plan(borrowers=300), "voice")[1]:
        pressed[inbound.in_reply_to] = pressed.get(inbound.in_reply_to, "") + inbound.text

    assert set(pressed.values()) >= {"5", "7", "9", "51"}
    assert all(keys in {"5", "7", "9", "51", "52", "53", "59", "50"} for keys in pressed.values())


def test_the_same_id_never_has_another_body() -> None:
    bodies: dict[tuple[str, str, str], bytes] = {}
    for _, event in _live(_plan())[0]:
        body = event.wire().value
        assert bodies.setdefault((event.message.borrower_id, event.source, event.event_id), body) == body


def test_every_event_is_one_that_the_platform_takes() -> None:
    for at, event in _live(_plan())[0]:
        check(event.message)
        assert at - timedelta(days=3) < event.business_at <= at


def test_at_one_instant_payments_come_first_then_the_statement_then_the_snapshot() -> None:
    ranks: dict[type[Message], int] = {
        PaymentReceivedV1: 0,
        PaymentReversedV1: 0,
        LoanRegisteredV1: 1,
        LoanOverdueV1: 2,
        LoanClosedV1: 2,
    }
    together: dict[tuple[str, datetime], list[LenderEvent]] = {}
    for _, event in _live(_plan(borrowers=300))[0]:
        if type(event.message) in ranks:
            together.setdefault((event.message.loan_id, event.business_at), []).append(event)  # type: ignore[attr-defined]
    in_order = [[ranks[type(e.message)] for e in sorted(events, key=_taken)] for events in together.values()]

    assert {tuple(sorted(set(found))) for found in in_order} >= {(0, 1), (0, 2), (1, 2)}
    assert all(found == sorted(found) for found in in_order)


def _taken(event: LenderEvent) -> tuple[datetime, str, str]:
    return (event.business_at, event.source, event.event_id)


def _assert_only_back_dated_money_is_late(published: list[tuple[datetime, LenderEvent]]) -> None:
    newest: dict[str, tuple[datetime, str, str]] = {}
    seen: set[tuple[str, str]] = set()
    for at, event in published:
        loan_id = getattr(event.message, "loan_id", None)
        if loan_id is None or (event.source, event.event_id) in seen:
            continue
        seen.add((event.source, event.event_id))
        late = loan_id in newest and _taken(event) < newest[loan_id]
        assert not late or (isinstance(event.message, PaymentReceivedV1) and event.business_at < at), event
        newest[loan_id] = max(newest.get(loan_id, _taken(event)), _taken(event))
    assert len(newest) > 1


def test_of_a_loans_events_only_back_dated_payments_arrive_after_later_ones() -> None:
    _assert_only_back_dated_money_is_late(_live(_plan(borrowers=300))[0])


def test_the_earlier_months_of_a_replay_arrive_in_their_order(tmp_path: Path) -> None:
    rows = [_account(**{f"pay_{month}": 2 for month in (0, 2, 3, 4, 5, 6)}) for _ in range(30)]
    path = _write_accounts(tmp_path / "accounts.csv", rows)
    published = _live(_plan(path, days=2))[0]

    history = [event for at, event in published if at == START and event.business_at < START]
    assert {type(event.message) for event in history} == {LoanRegisteredV1, PaymentReceivedV1, LoanOverdueV1}
    assert [_taken(event) for event in history] == sorted(_taken(event) for event in history)
    _assert_only_back_dated_money_is_late(published)


@pytest.mark.parametrize("make", [chinese_person, american_person])
def test_numbers_are_unique_valid_and_lie_in_the_zone_that_the_lender_says(make: object) -> None:
    people = [make(index, 7) for index in range(500)]  # type: ignore[operator]
    numbers = [number for person in people for number in person.numbers]

    assert len({number.value for number in numbers}) == len(numbers)
    for number in numbers:
        parsed = phonenumbers.parse(number.value)
        assert phonenumbers.is_valid_number(parsed), number.value
        assert tuple(timezone.time_zones_for_number(parsed)) == (number.zone,)


def test_some_borrowers_share_a_number_and_what_is_said_from_it_is_said_once() -> None:
    world = VirtualWorld(plan=_plan(borrowers=2_000, days=3))
    holders: dict[str, list[str]] = {}
    for person in world.core.people.values():
        for number in person.numbers:
            holders.setdefault(number.value, []).append(person.borrower_id)
    shared = [people for people in holders.values() if len(people) > 1]

    assert 0.01 < sum(len(people) - 1 for people in shared) / 2_000 < 0.02
    world.live(START)
    shared_number, (first, second, *_) = next((n, people) for n, people in holders.items() if len(people) > 1)
    names = {b: world.core.people[b].name for b in (first, second)}
    for name in names.values():
        delivery = msgspec.structs.replace(_delivery(first, shared_number, START, "voice"), text=f"您好，{name}本人")
        assert world.borrowers._addressed(delivery).person.name == name  # type: ignore[union-attr]


def test_a_key_is_pressed_during_the_call_and_known_at_the_tick_that_brings_the_answer() -> None:
    world = VirtualWorld(plan=_plan(borrowers=300))
    world.live(START)
    people = [person for person in world.core.people.values() if not person.american]
    answered_at = START - timedelta(minutes=7)
    world.react([_delivery(p.borrower_id, p.numbers[0].value, answered_at, "voice") for p in people], START)
    pressed = world.live(START).inbound

    assert len(pressed) > 100
    assert {inbound.at - answered_at for inbound in pressed} == {timedelta(seconds=15), timedelta(seconds=30)}
    assert [i.text for i in pressed if i.at - answered_at == timedelta(seconds=30)].count("5") == 0


def test_what_happens_at_an_instant_is_divided_by_borrower_and_by_number_and_nothing_is_lost() -> None:
    news = VirtualWorld(plan=_plan(borrowers=100)).live(START)
    first, later = news.divided(lambda who: who.endswith(("1", "3", "5")))

    assert [e for e in news.events if e in first.events] == first.events
    assert len(first.events) + len(later.events) == len(news.events)
    assert not {e.message.borrower_id for e in first.events} & {e.message.borrower_id for e in later.events}
    assert first.events
    assert later.events


def _write_accounts(path: Path, rows: list[dict[str, int]], columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows([dict.fromkeys(columns, 0) | row for row in rows])
    return path


def _account(**changes: int) -> dict[str, int]:
    bills = {f"bill_amt{month}": 10_000 + month for month in range(1, 7)}
    return {"limit_bal": 50_000, **bills, **{f"pay_amt{month}": 500 for month in range(1, 7)}, **changes}


def test_a_replay_reads_no_personal_column(tmp_path: Path) -> None:
    assert not set(PERSONAL) & set(COLUMNS)
    path = _write_accounts(tmp_path / "accounts.csv", [_account()])

    assert [account.number for account in read_accounts(path, None)] == [1]


def test_days_past_due_of_a_replay_count_from_the_oldest_unpaid_due_date(tmp_path: Path) -> None:
    path = _write_accounts(tmp_path / "accounts.csv", [_account(pay_0=2, pay_amt1=0)])
    published, _ = _live(_plan(path, days=2))
    now = [event.message for at, event in published if at == START and isinstance(event.message, LoanOverdueV1)]

    latest = now[-1]
    assert str(latest.oldest_unpaid_due_on) == "2026-07-21"
    assert latest.days_past_due == 56


def test_a_replayed_account_that_was_behind_and_caught_up_is_said_to_owe_nothing_from_the_start(tmp_path: Path) -> None:
    path = _write_accounts(tmp_path / "accounts.csv", [_account(pay_2=2, pay_0=-1)])
    published, _ = _live(_plan(path, days=2))
    told = [event for at, event in published if at == START and isinstance(event.message, LoanOverdueV1)]

    assert [event.message.overdue.total_minor > 0 for event in told] == [True, False]  # type: ignore[attr-defined]
    assert told[-1].business_at == START


def test_a_replayed_account_pays_in_the_month_what_it_really_paid(tmp_path: Path) -> None:
    rows = [_account(pay_0=number % 4, pay_amt1=700 * number, default_next_month=1) for number in range(1, 30)]
    path = _write_accounts(tmp_path / "accounts.csv", rows)
    published, _ = _live(_plan(path, days=16))
    paid: dict[str, int] = {}
    for _, event in published:
        message = event.message
        if isinstance(message, PaymentReceivedV1) and event.business_at > START.replace(day=1):
            paid[f"{message.borrower_id} {message.payment_id}"] = message.amount_minor
    by_borrower: dict[str, int] = {}
    for key, amount in paid.items():
        by_borrower[key.split()[0]] = by_borrower.get(key.split()[0], 0) + amount

    assert by_borrower == {f"B{number:06d}": 70_000 * number for number in range(1, 30)}


def test_a_file_without_a_column_or_with_a_wrong_value_says_so(tmp_path: Path) -> None:
    without = _write_accounts(tmp_path / "a.csv", [], tuple(c for c in COLUMNS if c != "pay_0"))
    with pytest.raises(Rejection, match="no column pay_0"):
        list(read_accounts(without, None))
    empty = tmp_path / "empty.csv"
    empty.write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(Rejection, match="no account"):
        list(read_accounts(empty, None))
    wrong = _write_accounts(tmp_path / "b.csv", [_account()])
    wrong.write_text(wrong.read_text().replace("10001", "much"))
    with pytest.raises(Rejection, match="line 2"):
        list(read_accounts(wrong, None))
