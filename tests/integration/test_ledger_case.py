"""The case timeline, exports, profiles and migrations on a real PostgreSQL."""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import UTC

import msgspec
from prometheus_client import REGISTRY
from rich.console import Console

from ledger.adapters import exports
from ledger.adapters.case_file import read_case
from ledger.commands.case_drawing import draw_case
from shared import contracts
from shared.postgres.migrations import downgrade, migrate
from tests.integration import ledger_bench
from tests.integration.ledger_bench import Bench, attempted, hours, overdue, paid, promised, record, returned

migrated, ledger_database, bench = ledger_bench.migrated, ledger_bench.ledger_database, ledger_bench.bench


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
    assert case is not None
    assert case.zones == ["Asia/Shanghai"]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(draw_case(case, UTC))
    drawn, dumped = console.export_text(), json.dumps(case.events, default=str, ensure_ascii=False)
    assert "every contact, by op-1: call ***" in drawn
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


async def test_what_happened_at_one_instant_is_told_with_causes_before_their_effects(bench: Bench) -> None:
    at = hours(-2)
    await bench.receive(overdue("o1", hours(-5)), attempted("A0", hours(-4), 8_800))
    # The ids and sources of these say nothing about their order.
    await bench.receive(promised("R1", at), attempted("A1", at, 8_800), paid("P1", at, 3_000), paid("P2", at, 2_000))
    async with bench.engine.connect() as connection:
        case = await read_case(connection, "B1", events_max=100)
        latest = await read_case(connection, "B1", events_max=4)
    assert case is not None
    assert latest is not None
    told = [event["kind"].split(".")[1] for event in case.events if event["at"] == at]
    assert told == [
        "payment-received",
        "payment-received",
        "reply-received",
        "payment-posted",
        "payment-posted",
        "balance-changed",
        "balance-changed",
        "promise-opened",
        "attempt-submitted",
    ]
    versions = [event["detail"]["balance_version"] for event in case.events if "balance-changed" in event["kind"]]
    assert versions == sorted(versions)
    assert latest.events == case.events[-4:]


async def test_what_is_over_age_is_on_the_case_with_a_flag_whatever_it_is(bench: Bench) -> None:
    since, before = hours(-24 * 900), _flagged("aged")
    restriction = contracts.RestrictionChangedV1(
        borrower_id="B1", restriction_id="X1", kind="bankruptcy", active=True, effective_from=since
    )
    consent = contracts.ConsentChangedV1(
        borrower_id="B1", consent_id="C1", kind="opt_out", in_force=True, effective_from=since, channel="sms"
    )
    old = [
        record(restriction, "x1", since),
        record(consent, "c1", since),
        paid("P1", since, 1_000),
        returned("P1", hours(-24 * 899)),
    ]
    await bench.receive(*(msgspec.structs.replace(one, aged=True) for one in old))
    await bench.receive(record(restriction, "x2", hours(-1)), overdue("o1", hours(-1)))
    async with bench.engine.connect() as connection:
        case = await read_case(connection, "B1", events_max=100)
    assert case is not None
    flags = {event["event_id"]: event["flags"] for event in case.events}
    assert (flags["x1"], flags["c1"], flags["return-P1"]) == ("aged", "aged", "aged")
    assert flags["pay-P1"] == "unknown_loan,aged"
    assert (flags["x2"], flags["o1"]) == (None, None)
    assert _flagged("aged") == before + 4
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(draw_case(case, UTC))
    assert console.export_text().count("[aged]") == 3


def _flagged(flag: str) -> float:
    return REGISTRY.get_sample_value("decorum_ledger_flagged_events_total", {"flag": flag}) or 0.0


async def test_a_stop_of_everybody_makes_nobody_known(bench: Bench) -> None:
    stop = contracts.StopOrderedV1(
        borrower_id="all", stop_id="S1", kind="all", value="all", reason="x", ordered_by="op-1", ordered_at=hours(-1)
    )
    await bench.receive(record(stop, "s1", hours(-1), source="operator"), overdue("o1", hours(-5)))
    async with bench.engine.connect() as connection:
        assert await read_case(connection, "NOBODY", events_max=100) is None
        case = await read_case(connection, "B1", events_max=100)
    assert case is not None
    assert case.events[-1]["kind"] == "operator.stop-ordered.v1"


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
