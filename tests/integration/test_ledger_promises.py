"""Promises on a real PostgreSQL: opened, kept, broken, and corrected by what becomes known late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from math import factorial
from typing import Any

import pytest

from shared import contracts
from shared.contracts import Amounts
from shared.kafka.records import Received
from tests.integration import ledger_bench
from tests.integration.ledger_bench import (
    Bench,
    attempted,
    hours,
    of_borrower,
    of_type,
    overdue,
    paid,
    promised,
    record,
    returned,
)

migrated, ledger_database, bench = ledger_bench.migrated, ledger_bench.ledger_database, ledger_bench.bench


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
    [kept] = of_type(await bench.receive(paid("P1", hours(-3) - timedelta(minutes=1), 10_000)), contracts.PromiseKeptV1)
    [newer] = [p for p in of_type(bench.published, contracts.PromiseOpenedV1) if p.promised_minor == 5_000]
    assert kept.at > newer.at, "said after the newer one"
    assert (kept.promised_at, newer.promised_at) == (hours(-4), hours(-3)), "and made before it"


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


FIRST_LOAN = overdue("o1", hours(-9), overdue=Amounts(principal_minor=9_000))
SECOND_LOAN = overdue("o2", hours(-8), loan_id="L2", overdue=Amounts(principal_minor=1_000))
PART_PAID = paid("P1", hours(-6), 4_000)
REPLY = promised("R1", hours(-5), promised_minor=None, currency=None)
TWO_LOANS = (FIRST_LOAN, SECOND_LOAN, PART_PAID, REPLY)


@pytest.mark.parametrize(
    ("happened", "state", "promised_minor", "paid_minor"),
    [
        ((*TWO_LOANS, paid("P2", hours(-4), 2_000)), "open", 6_000, 2_000),
        ((*TWO_LOANS, paid("P2", hours(-4), 6_000)), "kept", 6_000, 6_000),
        ((*TWO_LOANS, overdue("o3", hours(-4))), "open", 6_000, 0),
        ((*TWO_LOANS, returned("P1", hours(-5.5))), "open", 10_000, 0),
        ((FIRST_LOAN, PART_PAID, REPLY, paid("P2", hours(-7), 5_000)), "voided", 0, 0),
    ],
)
async def test_a_promise_without_an_amount_is_for_what_was_due_when_it_was_made_in_whatever_order_all_is_read(
    bench: Bench, happened: tuple[Received[Any], ...], state: str, promised_minor: int, paid_minor: int
) -> None:
    said: dict[str, contracts.PromiseState] = {}
    for read_now in zip(*permutations(happened), strict=True):  # one record of each order, of a borrower of its own
        batch = [of_borrower(f"B{number}", each) for number, each in enumerate(read_now)]
        for message in of_type(await bench.receive(*batch), contracts.PromiseState):
            assert message.borrower_id not in said or said[message.borrower_id].at < message.at
            said[message.borrower_id] = message
    rows = await bench.rows("SELECT state, promised_minor, paid_minor, currency FROM promise")
    assert len(rows) == factorial(len(happened))
    assert {tuple(row) for row in rows} == {(state, promised_minor, paid_minor, "CNY")}
    assert {(type(last), last.promised_minor) for last in said.values()} == {(LAST_SAID[state], promised_minor)}
    assert state == "voided" or len(said) == len(rows), "one that was void from the start has nothing to say"


LAST_SAID = {
    "open": contracts.PromiseOpenedV1,
    "kept": contracts.PromiseKeptV1,
    "voided": contracts.PromiseVoidedV1,
}


async def test_a_promise_far_ahead_is_bounded_and_one_without_any_amount_due_is_not_opened(bench: Bench) -> None:
    assert await bench.receive(promised("R0", hours(-9), promised_minor=None, currency=None)) == []
    far = await bench.receive(promised("R1", hours(-3), promised_on=date(2030, 1, 1)))
    assert [p.promised_on for p in of_type(far, contracts.PromiseOpenedV1)] == [date(2026, 10, 15)]
