"""How the statements over permits are carried out on a table in which nearly everything was sent long ago."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.adapters import permit_sql
from tests.notifier_world import database
from tests.notifier_world.messages import START

notifier_url, engine = database.notifier_url, database.engine

COMMON = ("sms", "voice", START)
STATEMENTS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "end blocked": (permit_sql.END_BLOCKED, (*COMMON, 500)),
    "end blocked of some": (permit_sql.END_BLOCKED_OF, (*COMMON, 500, ["B1", "B2"])),
    "end expired": (permit_sql.END_EXPIRED, (*COMMON, 500)),
    "claim": (permit_sql.CLAIM, (*COMMON, "sms", 100, "one", 30.0)),
}
FILL = """
INSERT INTO permit (borrower_id, attempt_id, submission_number, decision_id, borrower_sequence, expires_at, channel,
  contact_point_id, loans, strategy, attempt_json, state, sent_at, ended_at)
SELECT 'B' || i % 10000, 'A' || i, 1, 'D' || i, 1, $1::timestamptz, 'sms', 'C1', '{L1}', 'low', '{}',
  CASE WHEN open THEN 'permitted' ELSE 'made' END, CASE WHEN NOT open THEN $2::timestamptz END,
  CASE WHEN NOT open THEN $2::timestamptz END
FROM generate_series(1, 40000) i CROSS JOIN LATERAL (SELECT i % 4 = 0 AS open) one"""
PEOPLE = (
    "INSERT INTO borrower (borrower_id) SELECT 'B' || i FROM generate_series(0, 9999) i",
    "INSERT INTO borrower_key SELECT 'B' || i, 'key' FROM generate_series(0, 9999) i",
    "INSERT INTO contact_point SELECT 'B' || i, 'C1', 'mobile', 'borrower', true, 'sealed', "
    "convert_to('B' || i, 'UTF8') FROM generate_series(0, 9999) i",
    "ANALYZE permit, borrower, borrower_key, contact_point",
)


async def plan_of(engine: AsyncEngine, statement: str, mode: str) -> str:
    """How the database would carry it out, with as many permits open as sent a few times over."""
    text, arguments = STATEMENTS[statement]
    async with engine.connect() as tx:
        await tx.exec_driver_sql(FILL, (START + timedelta(minutes=30), START - timedelta(days=30)))
        for filling in PEOPLE:
            await tx.exec_driver_sql(filling)
        await tx.exec_driver_sql(f"SET LOCAL plan_cache_mode = {mode}")
        plan = "\n".join(row[0] for row in await tx.exec_driver_sql(f"EXPLAIN {text}", arguments))
        await tx.rollback()
    return plan


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_no_statement_reads_all_that_was_ever_sent(engine: AsyncEngine, statement: str) -> None:
    assert "Seq Scan on permit o" not in await plan_of(engine, statement, "force_custom_plan")


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_claim_looks_at_as_many_permits_as_it_takes_and_not_at_all_that_wait(
    engine: AsyncEngine, mode: str
) -> None:
    plan = await plan_of(engine, "claim", mode)
    assert "Index Scan using permit_open on permit p" in plan
    assert "Sort" not in plan, "to sort them it would first ask of each what forbids it"
