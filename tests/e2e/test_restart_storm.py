"""Nothing lost, nothing twice: the whole stack under a storm of kills equals the same stack left in peace."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from decorum_local import LocalPlatform
from shared.contracts import PaymentReceivedV1
from shared.contracts.registry import BY_MESSAGE_TYPE
from shared.kafka.dead_letter_reader import read_all
from tests.e2e.stillness import lags
from tests.e2e.storm import MORNING, Aftermath, StormRun, disturbances
from tests.e2e.storm_events import Portfolio, portfolio

SEED = int(os.environ.get("DECORUM_STORM_SEED", "1"))
EVENTS = int(os.environ.get("DECORUM_STORM_EVENTS", "4000"))
UNKNOWN_SHARE_MAX = 0.02


@pytest.fixture(scope="module")
def events() -> Portfolio:
    return portfolio(seed=SEED, events=EVENTS, at=MORNING)


@pytest.fixture(scope="module")
def calm(events: Portfolio, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    folder = tmp_path_factory.mktemp("calm")
    with LocalPlatform(folder / "servers") as platform:
        return StormRun(platform, folder / "stack", events).run()


@pytest.fixture(scope="module")
def stormy_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalPlatform, Path]]:
    folder = tmp_path_factory.mktemp("stormy")
    with LocalPlatform(folder / "servers") as platform:
        yield platform, folder / "stack"


@pytest.fixture(scope="module")
def stormy(events: Portfolio, calm: Aftermath, stormy_platform: tuple[LocalPlatform, Path]) -> Aftermath:
    platform, folder = stormy_platform
    run = StormRun(platform, folder, events)
    return run.run(disturbances(run.stack, platform, SEED))


def test_the_script_makes_contacts_at_all(calm: Aftermath, events: Portfolio) -> None:
    assert len(calm.requests) > len(events.borrowers) / 2
    assert not calm.unknown


def test_the_carrier_sees_each_attempt_at_most_once(stormy: Aftermath) -> None:
    seen = Counter(request["attempt_id"] for request in stormy.requests)
    assert [attempt for attempt, count in seen.items() if count > 1] == []


def test_no_borrower_gets_two_texts_on_one_day(stormy: Aftermath) -> None:
    seen = Counter((r["to"], r["at"][:10]) for r in stormy.requests if r["channel"] == "sms")
    assert [key for key, count in seen.items() if count > 1] == []


def test_nothing_is_sent_after_its_permit_has_ended(stormy: Aftermath) -> None:
    assert stormy.late == []


def test_at_most_two_percent_of_the_attempts_are_unknown(stormy: Aftermath) -> None:
    assert len(stormy.unknown) <= UNKNOWN_SHARE_MAX * stormy.attempts


@pytest.mark.parametrize(
    "table",
    ["postings", "balances", "promises", "scheduler profiles", "scheduler loans", "gate profiles", "gate restrictions"],
)
def test_state_equals_that_of_a_calm_run(table: str, calm: Aftermath, stormy: Aftermath) -> None:
    assert calm.tables[table]
    assert stormy.tables[table] == calm.tables[table]


def test_decisions_and_contacts_equal_those_of_a_calm_run(calm: Aftermath, stormy: Aftermath) -> None:
    certain = (calm.decisions.keys() | stormy.decisions.keys()) - stormy.unknown - calm.unknown
    assert certain
    for borrower in sorted(certain):
        assert stormy.decisions.get(borrower) == calm.decisions.get(borrower)
        assert stormy.contacts.get(borrower) == calm.contacts.get(borrower)


def test_every_event_is_in_its_effect_or_in_the_dead_letters(
    stormy: Aftermath, events: Portfolio, stormy_platform: tuple[LocalPlatform, Path]
) -> None:
    platform, _ = stormy_platform
    letters = asyncio.run(read_all(platform.kafka_bootstrap_servers))
    poison = {(letter.group, (dict(letter.headers)["n"] or b"").decode()) for letter in letters}
    assert len(poison) == events.poison * len(BY_MESSAGE_TYPE[PaymentReceivedV1].readers)
    wires = (*events.facts, *events.payments)
    expected = {(dict(wire.headers)["ce_id"] or b"").decode() for wire in wires} - {"p"}
    assert asyncio.run(_inbox_ids(platform.database_url("ledger"))) >= expected


def test_every_transaction_of_the_book_balances(stormy: Aftermath, stormy_platform: tuple[LocalPlatform, Path]) -> None:
    assert asyncio.run(_unbalanced(stormy_platform[0].database_url("ledger"))) == 0


def test_nothing_is_left_unread(stormy: Aftermath, stormy_platform: tuple[LocalPlatform, Path]) -> None:
    assert set(asyncio.run(lags(stormy_platform[0].kafka_bootstrap_servers)).values()) == {0}


async def _inbox_ids(url: str) -> set[str]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch("SELECT ce_id FROM inbox WHERE ce_source = 'storm/core'")
        return {row["ce_id"] for row in rows}
    finally:
        await connection.close()


async def _unbalanced(url: str) -> int:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM (SELECT 1 FROM posting GROUP BY transaction_id, currency "
            "HAVING sum(amount_minor) <> 0) unbalanced"
        )
        return count
    finally:
        await connection.close()
