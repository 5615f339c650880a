"""The ledger's handlers and loop on a real PostgreSQL: what is written, corrected, refused and answered."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from decorum_local import LocalPlatform
from ledger.adapters import exports
from ledger.adapters.case_file import read_case
from ledger.adapters.store import SqlLedgerStore
from ledger.case_drawing import draw_case
from ledger.handlers.book import post_loan_events
from ledger.handlers.case import keep_profiles, note_what_happened
from ledger.handlers.desk import Desk
from ledger.handlers.promises import open_promises
from ledger.loops import PromiseLoop
from ledger.router import BOOKED, NOTED
from ledger.settings import Settings
from shared import contracts
from shared.clock import VirtualClock
from shared.contracts import Amounts, Message
from shared.contracts.registry import BY_MESSAGE_TYPE
from shared.kafka.consumer import PoisonRecord
from shared.kafka.records import Outgoing, Received
from shared.postgres.engine import create_engine
from shared.postgres.migrations import downgrade, migrate

NOW = datetime(2026, 9, 16, 2, tzinfo=UTC)
_numbers = count(1)


@dataclass
class Bench:
    """The ledger without Kafka: `receive` is one batch in one transaction."""

    engine: AsyncEngine
    clock: VirtualClock
    desk: Desk
    published: list[Message] = field(default_factory=list)
    sent: list[Outgoing] = field(default_factory=list)

    async def receive(self, *records: Received[Any]) -> list[Message]:
        handlers: Sequence[tuple[tuple[type[Message], ...], Callable[..., Any]]] = (
            ((contracts.BorrowerUpdatedV1,), keep_profiles),
            (BOOKED, post_loan_events),
            (NOTED, note_what_happened),
            ((contracts.ReplyReceivedV1,), open_promises),
        )
        answers: list[Outgoing] = []
        async with self.engine.begin() as tx:
            for types, handler in handlers:
                batch = [r for r in records if isinstance(r.message, types)]
                if batch:
                    answers += await partial(handler, desk=self.desk)(tx, batch)
        self.sent += answers
        self.published += [answer.message for answer in answers]
        return [answer.message for answer in answers]

    async def settle_promises(self) -> list[Message]:
        added: list[Outgoing] = []

        async def add(tx: object, messages: Sequence[Outgoing]) -> None:
            added.extend(messages)

        loop = PromiseLoop(
            desk=self.desk,
            engine=self.engine,
            add_to_outbox=add,
            after_commit=lambda: None,
            batch_records_max=100,
            attempt_wait_seconds_max=3600,
        )
        while await loop.run_once():
            pass
        self.published += [answer.message for answer in added]
        return [answer.message for answer in added]

    async def rows(self, query: str) -> list[Any]:
        async with self.engine.connect() as connection:
            return list((await connection.exec_driver_sql(query)).all())

    async def net(self) -> dict[str, int]:
        sums: Counter[str] = Counter()
        async for line in exports.postings(self.engine):
            sums[line["account"]] += line["amount_minor"]
        return {account: amount for account, amount in sums.items() if amount}


@pytest.fixture(scope="module")
def migrated(platform: LocalPlatform) -> Iterator[str]:
    """A database with the ledger's schema, migrated once and copied for each test."""
    name = f"ledger_template_{os.getpid()}"
    asyncio.run(migrate("ledger", platform.database_url(name)))
    yield name
    platform.drop_databases([name])


@pytest.fixture
def ledger_database(platform: LocalPlatform, migrated: str) -> Iterator[Callable[[], str]]:
    """Make databases with the ledger's schema; dropped after the test."""
    made: list[str] = []

    def make() -> str:
        made.append(f"ledger_{os.getpid()}_{next(_numbers)}")
        platform.create_databases(made[-1:], template=migrated)
        return platform.database_url(made[-1])

    yield make
    platform.drop_databases(made)


@pytest_asyncio.fixture
async def bench(ledger_database: Callable[[], str]) -> AsyncIterator[Bench]:
    engine = create_engine(ledger_database(), application_name="test-ledger")
    own, clock = Settings(), VirtualClock(NOW)
    yield Bench(
        engine=engine,
        clock=clock,
        desk=Desk(store=SqlLedgerStore(), clock=clock, order=own.order, terms=own.terms),
    )
    await engine.dispose()


def record(message: Message, ce_id: str, at: datetime, *, source: str = "core") -> Received[Any]:
    contract = BY_MESSAGE_TYPE[type(message)]
    return Received(
        message=message,
        ce_id=ce_id,
        ce_source=source,
        ce_type=contract.ce_type,
        ce_time=at,
        traceparent=None,
        body_sha256=ce_id.encode(),
        topic=contract.topic,
        partition=0,
        offset=0,
        aged=False,
    )


def registered(ce_id: str, at: datetime, **changes: Any) -> Received[Any]:
    values: dict[str, Any] = {
        "borrower_id": "B1",
        "loan_id": "L1",
        "currency": "CNY",
        "opened_on": date(2026, 1, 1),
        "outstanding": Amounts(principal_minor=100_000, interest_minor=500),
        "next_due_on": date(2026, 9, 20),
        "next_due": Amounts(principal_minor=9_500, interest_minor=500),
    }
    return record(contracts.LoanRegisteredV1(**{**values, **changes}), ce_id, at)


def overdue(ce_id: str, at: datetime, **changes: Any) -> Received[Any]:
    values: dict[str, Any] = {
        "borrower_id": "B1",
        "loan_id": "L1",
        "currency": "CNY",
        "as_of": at.date(),
        "days_past_due": 5,
        "oldest_unpaid_due_on": at.date() - timedelta(days=5),
        "overdue": Amounts(fees_minor=100, interest_minor=400, principal_minor=9_500),
        "outstanding": Amounts(fees_minor=100, interest_minor=400, principal_minor=100_000),
    }
    return record(contracts.LoanOverdueV1(**{**values, **changes}), ce_id, at)


def paid(payment_id: str, at: datetime, amount: int, *, ce_id: str = "", **changes: Any) -> Received[Any]:
    values = {"borrower_id": "B1", "loan_id": "L1", "payment_id": payment_id, "currency": "CNY"}
    message = contracts.PaymentReceivedV1(**{**values, "amount_minor": amount, **changes})
    return record(message, ce_id or f"pay-{payment_id}", at)


def returned(payment_id: str, at: datetime) -> Received[Any]:
    message = contracts.PaymentReversedV1(borrower_id="B1", loan_id="L1", payment_id=payment_id, reason="Zhang San")
    return record(message, f"return-{payment_id}", at)


def promised(reply_id: str, at: datetime, **changes: Any) -> Received[Any]:
    values: dict[str, Any] = {
        "borrower_id": "B1",
        "reply_id": reply_id,
        "channel": "sms",
        "received_at": at,
        "intent": "promise",
        "promised_minor": 10_000,
        "currency": "CNY",
        "promised_on": date(2026, 9, 18),
    }
    return record(
        contracts.ReplyReceivedV1(**{**values, **changes}), f"reply-{reply_id}", at, source="decorum/notifier"
    )


def attempted(attempt_id: str, at: datetime, due_minor: int) -> Received[Any]:
    loan = contracts.AttemptLoan(
        loan_id="L1",
        balance_version=1,
        overdue_minor=due_minor,
        due_minor=due_minor,
        due_on=date(2026, 9, 11),
        days_past_due=5,
    )
    message = contracts.AttemptSubmittedV1(
        borrower_id="B1",
        attempt_id=attempt_id,
        submission_number=1,
        submitted_at=at,
        expires_at=at + timedelta(hours=8),
        purpose="demand",
        channel="sms",
        contact_point_id="C1",
        currency="CNY",
        loans=(loan,),
        template="first-demand",
        language="zh",
        risk_grade="low",
        strategy="low",
        strategy_hash="h1",
        step_key="day-3",
    )
    return record(message, f"submitted-{attempt_id}", at, source="decorum/scheduler")


def of_type(messages: Iterable[Message], message_type: type[Message]) -> list[Any]:
    return [message for message in messages if isinstance(message, message_type)]


def hours(after_now: float) -> datetime:
    return NOW + timedelta(hours=after_now)


async def test_a_payment_pays_fees_then_interest_then_principal_of_what_is_overdue(bench: Bench) -> None:
    answers = await bench.receive(overdue("o1", hours(-3)), paid("P1", hours(-2), 700))
    posted = of_type(answers, contracts.PaymentPostedV1)
    assert [p.allocated for p in posted] == [Amounts(fees_minor=100, interest_minor=400, principal_minor=200)]
    balances = of_type(answers, contracts.BalanceChangedV1)
    assert [b.balance_version for b in balances] == [1, 2]
    assert balances[-1].overdue == Amounts(principal_minor=9_300)
    assert balances[-1].oldest_unpaid_due_on == date(2026, 9, 10)
    assert await bench.net() == {"cash": 700, "receivable:principal": 99_800, "restatement": -100_500}


async def test_paying_all_that_is_overdue_clears_the_oldest_unpaid_due_date(bench: Bench) -> None:
    answers = await bench.receive(overdue("o1", hours(-3)), paid("P1", hours(-2), 10_000))
    last = of_type(answers, contracts.BalanceChangedV1)[-1]
    assert last.overdue == Amounts()
    assert last.oldest_unpaid_due_on is None


async def test_paying_early_takes_the_next_instalment_away(bench: Bench) -> None:
    answers = await bench.receive(registered("r1", hours(-3)), paid("P1", hours(-2), 10_000))
    last = of_type(answers, contracts.BalanceChangedV1)[-1]
    assert (last.next_due, last.next_due_on) == (Amounts(), None)
    assert last.outstanding.total_minor == 90_500


async def test_a_daily_snapshot_that_says_the_same_publishes_nothing(bench: Bench) -> None:
    await bench.receive(overdue("o1", hours(-30), oldest_unpaid_due_on=date(2026, 9, 10)))
    answers = await bench.receive(overdue("o2", hours(-6), oldest_unpaid_due_on=date(2026, 9, 10), days_past_due=6))
    assert answers == []
    rows = await bench.rows("SELECT balance_version, last_event_id FROM loan")
    assert [tuple(row) for row in rows] == [(1, "o2")]


async def test_a_backdated_payment_takes_back_what_it_changes_and_posts_it_again(bench: Bench) -> None:
    await bench.receive(overdue("o1", hours(-30)), paid("P2", hours(-2), 10_400))
    before = await bench.rows("SELECT transaction_id, account, amount_minor FROM posting")
    answers = await bench.receive(paid("P1", hours(-5), 300))
    after = await bench.rows("SELECT transaction_id, account, amount_minor FROM posting")
    assert set(before) < set(after)
    posted = {p.payment_id: p for p in of_type(answers, contracts.PaymentPostedV1)}
    assert posted["P1"].allocated == Amounts(fees_minor=100, interest_minor=200)
    assert posted["P2"].allocated == Amounts(interest_minor=200, principal_minor=10_200)
    assert [b.cause for b in of_type(answers, contracts.BalanceChangedV1)] == ["repost"]
    kinds = Counter(row.kind for row in await bench.rows("SELECT DISTINCT transaction_id, kind FROM posting"))
    assert kinds == {"opening": 1, "payment": 3, "correction": 1}
    assert (await bench.net())["cash"] == 10_700
    flags = await bench.rows("SELECT flags FROM case_event WHERE event_id = 'pay-P1'")
    assert flags[0].flags == "late"


async def test_a_returned_payment_is_owed_again_and_its_date_is_back(bench: Bench) -> None:
    await bench.receive(overdue("o1", hours(-30)), paid("P1", hours(-20), 10_000))
    answers = await bench.receive(returned("P1", hours(-2)))
    assert [u.payment_id for u in of_type(answers, contracts.PaymentUnpostedV1)] == ["P1"]
    balance = of_type(answers, contracts.BalanceChangedV1)[0]
    assert (balance.overdue.total_minor, balance.oldest_unpaid_due_on) == (10_000, date(2026, 9, 9))
    assert balance.cause == "reversal"
    assert "cash" not in await bench.net()


async def test_a_reversal_that_arrives_before_its_payment_leaves_nothing_booked(bench: Bench) -> None:
    await bench.receive(overdue("o1", hours(-30)))
    assert await bench.receive(returned("P1", hours(-2))) == []
    answers = await bench.receive(paid("P1", hours(-3), 10_000))
    assert len(of_type(answers, contracts.PaymentPostedV1)) == 1
    assert len(of_type(answers, contracts.PaymentUnpostedV1)) == 1
    assert of_type(answers, contracts.BalanceChangedV1) == []
    assert "cash" not in await bench.net()


async def test_money_on_an_unknown_loan_waits_in_suspense_until_the_loan_is_known(bench: Bench) -> None:
    answers = await bench.receive(paid("P1", hours(-5), 900))
    assert [p.posted_to for p in of_type(answers, contracts.PaymentPostedV1)] == ["unknown_loan"]
    assert await bench.net() == {"cash": 900, "suspense:unknown_loan": -900}
    await bench.receive(registered("r1", hours(-2)))
    assert await bench.net() == {
        "cash": 900,
        "receivable:interest": 500,
        "receivable:principal": 100_000,
        "restatement": -101_400,
    }


async def test_money_on_a_loan_whose_registration_comes_late_is_booked_on_the_loan(bench: Bench) -> None:
    await bench.receive(paid("P1", hours(-2), 900))
    answers = await bench.receive(registered("r1", hours(-5)))
    assert [p.posted_to for p in of_type(answers, contracts.PaymentPostedV1)] == ["loan"]
    assert await bench.net() == {"cash": 900, "receivable:principal": 99_600, "restatement": -100_500}


async def test_money_in_another_currency_is_kept_in_suspense_and_flagged(bench: Bench) -> None:
    answers = await bench.receive(overdue("o1", hours(-3)), paid("P1", hours(-2), 500, currency="USD"))
    assert [p.posted_to for p in of_type(answers, contracts.PaymentPostedV1)] == ["overpayment"]
    assert len(of_type(answers, contracts.BalanceChangedV1)) == 1
    assert (await bench.rows("SELECT flags FROM case_event WHERE event_id = 'pay-P1'"))[0].flags == "other_currency"


async def test_a_snapshot_in_another_currency_is_poison(bench: Bench) -> None:
    await bench.receive(overdue("o1", hours(-3)))
    with pytest.raises(PoisonRecord) as poison:
        await bench.receive(overdue("o2", hours(-2), currency="USD"))
    assert poison.value.reason == "currency_mismatch"


async def test_a_closed_loan_owes_nothing_and_later_money_is_an_overpayment(bench: Bench) -> None:
    closed = record(contracts.LoanClosedV1(borrower_id="B1", loan_id="L1", reason="paid"), "c1", hours(-2))
    answers = await bench.receive(overdue("o1", hours(-3)), closed, paid("P1", hours(-1), 500))
    last = of_type(answers, contracts.BalanceChangedV1)[-1]
    assert (last.closed, last.cause, last.outstanding) == (True, "closure", Amounts())
    assert await bench.net() == {"cash": 500, "suspense:overpayment": -500}


async def test_the_same_payment_under_another_event_id_is_booked_once_and_answered_twice(bench: Bench) -> None:
    await bench.receive(overdue("o1", hours(-3)), paid("P1", hours(-2), 500))
    answers = await bench.receive(paid("P1", hours(-1), 500, ce_id="again"))
    assert [p.payment_id for p in of_type(answers, contracts.PaymentPostedV1)] == ["P1"]
    assert (await bench.net())["cash"] == 500


async def test_versions_and_transactions_do_not_depend_on_how_events_were_batched(
    bench: Bench, ledger_database: Callable[[], str]
) -> None:
    records = [
        overdue("o1", hours(-30)),
        paid("P2", hours(-2), 10_400),
        paid("P1", hours(-5), 300),
        returned("P2", hours(-1)),
        registered("r0", hours(-60)),
        paid("P1", hours(-4), 300, ce_id="again"),
    ]
    engine = create_engine(ledger_database(), application_name="test-ledger")
    other = Bench(engine=engine, clock=bench.clock, desk=bench.desk)
    try:
        await bench.receive(*records)
        for one in records:
            await other.receive(one)
        query = "SELECT * FROM posting ORDER BY transaction_id, account"
        assert await bench.rows(query) == await other.rows(query)
        assert await bench.rows("SELECT * FROM loan") == await other.rows("SELECT * FROM loan")
        assert {o.ce_id: o.message for o in bench.sent} == {o.ce_id: o.message for o in other.sent}
    finally:
        await engine.dispose()


async def test_the_database_refuses_a_transaction_that_does_not_balance(bench: Bench) -> None:
    insert = (
        "INSERT INTO posting SELECT 'B9', '7d7c9f0a-52c3-5b7e-9a43-0d8f5c1b6e21', account, 'L9', 'payment', 'P9', "
        "'CNY', amount, now(), 's', 'e', 's', 'e', NULL "
        "FROM (VALUES ('cash', 100), ('suspense:overpayment', {})) v(account, amount)"
    )
    with pytest.raises(DBAPIError, match="does not balance"):
        async with bench.engine.begin() as tx:
            await tx.exec_driver_sql(insert.format(-99))
    async with bench.engine.begin() as tx:
        await tx.exec_driver_sql(insert.format(-100))


@pytest.mark.parametrize("change", ["UPDATE {} SET borrower_id = 'B2'", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["posting", "case_event"])
async def test_the_database_refuses_to_change_what_is_written(bench: Bench, change: str, table: str) -> None:
    await bench.receive(overdue("o1", hours(-3)))
    with pytest.raises(DBAPIError, match="only ever added to"):
        async with bench.engine.begin() as tx:
            await tx.exec_driver_sql(change.format(table))


async def test_a_promise_is_kept_by_a_payment_since_and_within_the_days_of_grace(bench: Bench) -> None:
    await bench.receive(overdue("o1", hours(-5)), paid("P0", hours(-4), 4_000), promised("R1", hours(-3)))
    opened = of_type(bench.published, contracts.PromiseOpenedV1)
    assert [(p.promised_minor, p.paid_minor) for p in opened] == [(10_000, 0)]
    assert of_type(await bench.receive(paid("P1", hours(-2), 4_000)), contracts.PromiseState) == []
    kept = await bench.receive(paid("P2", hours(-1), 6_000))
    assert [p.paid_minor for p in of_type(kept, contracts.PromiseKeptV1)] == [10_000]


async def test_a_promise_is_broken_or_partly_kept_when_its_grace_has_ended_and_not_before(bench: Bench) -> None:
    profile = contracts.BorrowerUpdatedV1(
        borrower_id="B1", name="张三", language="zh", region="CN", zones=("Asia/Shanghai",), contact_points=()
    )
    await bench.receive(record(profile, "u1", hours(-9)), overdue("o1", hours(-5)), promised("R1", hours(-3)))
    opened = of_type(bench.published, contracts.PromiseOpenedV1)[0]
    assert opened.grace_ends_at == datetime(2026, 9, 19, 16, tzinfo=UTC)
    bench.clock.move_to(opened.grace_ends_at - timedelta(seconds=1))
    assert await bench.settle_promises() == []
    bench.clock.move_to(opened.grace_ends_at)
    assert [type(m) for m in await bench.settle_promises()] == [contracts.PromiseBrokenV1]
    late_part = await bench.receive(paid("P1", opened.grace_ends_at - timedelta(hours=1), 1_000))
    assert [p.paid_minor for p in of_type(late_part, contracts.PromisePartlyKeptV1)] == [1_000]
    late_rest = await bench.receive(paid("P2", opened.grace_ends_at - timedelta(hours=2), 9_000))
    assert [p.paid_minor for p in of_type(late_rest, contracts.PromiseKeptV1)] == [10_000]
    undone = await bench.receive(returned("P2", opened.grace_ends_at))
    assert [p.paid_minor for p in of_type(undone, contracts.PromisePartlyKeptV1)] == [1_000]
    said = [message.at for message in of_type(bench.published, contracts.PromiseState)]
    assert said == sorted(set(said)), "each later state says a later instant"


async def test_a_newer_promise_replaces_the_open_one(bench: Bench) -> None:
    await bench.receive(overdue("o1", hours(-5)), promised("R1", hours(-4)))
    await bench.receive(promised("R2", hours(-3), promised_minor=5_000))
    states = await bench.rows("SELECT reply_id, state FROM promise ORDER BY reply_id")
    assert [tuple(row) for row in states] == [("R1", "replaced"), ("R2", "open")]


async def test_a_promise_without_an_amount_is_for_what_the_contact_asked_for_whichever_is_read_first(
    bench: Bench,
) -> None:
    reply = promised("R1", hours(-3), promised_minor=None, currency=None, promised_on=None, attempt_id="A1")
    await bench.receive(overdue("o1", hours(-5)))
    assert await bench.receive(reply) == []
    assert await bench.settle_promises() == []
    await bench.receive(attempted("A1", hours(-4), 8_800))
    opened = of_type(await bench.settle_promises(), contracts.PromiseOpenedV1)
    assert [(p.promised_minor, p.promised_on, p.loans) for p in opened] == [(8_800, date(2026, 9, 18), ("L1",))]


async def test_a_promise_far_ahead_is_bounded_and_one_without_any_amount_due_is_not_opened(bench: Bench) -> None:
    assert await bench.receive(promised("R0", hours(-9), promised_minor=None, currency=None)) == []
    far = await bench.receive(promised("R1", hours(-3), promised_on=date(2030, 1, 1)))
    assert [p.promised_on for p in of_type(far, contracts.PromiseOpenedV1)] == [date(2026, 10, 15)]


async def test_the_case_holds_everything_once_and_nothing_personal(bench: Bench) -> None:
    point = contracts.ContactPoint(contact_point_id="C1", kind="mobile", value="+8613800138000")
    profile = contracts.BorrowerUpdatedV1(
        borrower_id="B1", name="张三", language="zh", region="CN", zones=("Asia/Shanghai",), contact_points=(point,)
    )
    stop = contracts.StopOrderedV1(
        borrower_id="all",
        stop_id="S1",
        kind="all",
        value="all",
        reason="call +8613800138000",
        ordered_by="op-1",
        ordered_at=hours(-1),
    )
    batch = [
        record(profile, "u1", hours(-9)),
        overdue("o1", hours(-5)),
        attempted("A1", hours(-4), 8_800),
        promised("R1", hours(-3)),
        paid("P1", hours(-2), 10_000),
        returned("P1", hours(-1)),
        record(stop, "s1", hours(-1), source="operator"),
    ]
    await bench.receive(*batch)
    async with bench.engine.connect() as connection:
        case = await read_case(connection, "B1", events_max=100)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(draw_case(case, UTC))
    drawn, dumped = console.export_text(), json.dumps(case.events, default=str, ensure_ascii=False)
    for personal in ("张三", "138001", "Zhang"):
        assert personal not in drawn
        assert personal not in dumped
    assert Counter(event["kind"].split(".")[1] for event in case.events) == {
        "borrower-updated": 1,
        "loan-overdue": 1,
        "attempt-submitted": 1,
        "reply-received": 1,
        "payment-received": 1,
        "payment-reversed": 1,
        "stop-ordered": 1,
        "balance-changed": 3,
        "payment-posted": 1,
        "payment-unposted": 1,
        "promise-opened": 1,
    }


async def test_exports_give_every_line_and_every_change_of_a_balance(bench: Bench) -> None:
    await bench.receive(overdue("o1", hours(-5)), paid("P1", hours(-2), 10_000), promised("R1", hours(-1)))
    lines = [line async for line in exports.loans(bench.engine)]
    assert [(line["overdue_minor"], line["outstanding_minor"]) for line in lines] == [(10_000, 100_500), (0, 90_500)]
    assert [line["at"] for line in lines] == [hours(-5).isoformat(), hours(-2).isoformat()]
    booked = [line async for line in exports.postings(bench.engine)]
    assert set(booked[0]) == {
        "at",
        "transaction_id",
        "kind",
        "payment_id",
        "account",
        "amount_minor",
        "currency",
        "borrower_id",
        "loan_id",
    }
    assert sum(line["amount_minor"] for line in booked) == 0
    json.dumps(booked)
    assert [line["state"] async for line in exports.promises(bench.engine)] == ["open"]


async def test_a_late_profile_does_not_replace_a_later_one(bench: Bench) -> None:
    def profile(zone: str) -> contracts.BorrowerUpdatedV1:
        return contracts.BorrowerUpdatedV1(
            borrower_id="B1", name="x", language="zh", region="CN", zones=(zone,), contact_points=()
        )

    await bench.receive(record(profile("Asia/Shanghai"), "u2", hours(-2)))
    await bench.receive(record(profile("Asia/Tokyo"), "u1", hours(-3)))
    assert (await bench.rows("SELECT zones FROM borrower"))[0].zones == ["Asia/Shanghai"]


async def test_migrations_go_up_from_nothing_and_back(database_url: str) -> None:
    await migrate("ledger", database_url)
    await downgrade("ledger", database_url, revision="base")
    await migrate("ledger", database_url)
