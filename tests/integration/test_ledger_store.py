"""The book on a real PostgreSQL: what is written, corrected, refused and answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date

import pytest
from sqlalchemy.exc import DBAPIError

from shared import contracts
from shared.contracts import Amounts
from shared.kafka.consumer import PoisonRecord
from shared.postgres.engine import create_engine
from tests.integration import ledger_bench
from tests.integration.ledger_bench import Bench, hours, of_type, overdue, paid, record, registered, returned

migrated, ledger_database, bench = ledger_bench.migrated, ledger_bench.ledger_database, ledger_bench.bench


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


async def test_a_payment_with_a_value_time_before_the_newest_snapshot_says_that_the_balance_does_not_show_it(
    bench: Bench,
) -> None:
    await bench.receive(overdue("o1", hours(-30)), overdue("o2", hours(-4)))
    answers = await bench.receive(paid("P1", hours(-10), 300), paid("P2", hours(-1), 200))
    posted = {p.payment_id: p for p in of_type(answers, contracts.PaymentPostedV1)}
    [changed] = of_type(answers, contracts.BalanceChangedV1)
    assert (posted["P1"].counted, posted["P1"].balance_version) == (False, changed.balance_version - 1)
    assert (posted["P2"].counted, posted["P2"].balance_version) == (True, changed.balance_version)
    assert {p.posted_at for p in posted.values()} == {bench.clock.now()}


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
