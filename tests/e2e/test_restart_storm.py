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
from shared.contracts.registry import BY_CE_TYPE, BY_MESSAGE_TYPE
from shared.kafka.dead_letter_reader import read_all
from tests.e2e.stillness import lags
from tests.e2e.storm import FIRST_WAVE, MORNING, Aftermath, StormRun
from tests.e2e.storm_disturbances import LEASE_SECONDS, disturbances
from tests.e2e.storm_events import Portfolio, portfolio
from tests.e2e.storm_evidence import Seen, contacts_over_caps, records_of, without_effect

SEED = int(os.environ.get("DECORUM_STORM_SEED", "1"))
EVENTS = int(os.environ.get("DECORUM_STORM_EVENTS", "4000"))
UNKNOWN_SHARE_MAX = 0.02
CAPS = (
    "courteous.sms-a-day",
    "courteous.sms-in-seven-days",
    "courteous.calls-a-day",
    "courteous.calls-in-seven-days",
    "courteous.contacts-in-seven-days",
    "us-reg-f.seven-in-seven",
    "us-reg-f.seven-days-after-conversation",
)
"""Those that the scheme of the storm can reach."""


@pytest.fixture(scope="module")
def events() -> Portfolio:
    return portfolio(seed=SEED, events=EVENTS, at=MORNING, hurried_at=FIRST_WAVE)


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


@pytest.fixture(scope="module")
def records(stormy: Aftermath, stormy_platform: tuple[LocalPlatform, Path]) -> list[Seen]:
    return asyncio.run(records_of(stormy_platform[0]))


def test_the_script_makes_contacts_at_all(calm: Aftermath, events: Portfolio) -> None:
    assert len(calm.requests) > len(events.borrowers) / 2
    assert not calm.unknown


def test_the_carrier_sees_each_attempt_at_most_once(stormy: Aftermath) -> None:
    seen = Counter(request["attempt_id"] for request in stormy.requests)
    assert [attempt for attempt, count in seen.items() if count > 1] == []


@pytest.mark.parametrize("cap", CAPS)
def test_every_cap_keeps_somebody_from_a_contact(stormy: Aftermath, cap: str) -> None:
    refused = [
        borrower
        for borrower, decisions in stormy.decisions.items()
        for *_, verdict, rules in decisions
        if verdict in ("deferred", "denied") and any(rule == cap and said != "passed" for rule, said in rules)
    ]
    assert refused


def test_no_cap_is_exceeded(
    stormy: Aftermath,
    events: Portfolio,
    records: list[Seen],
    stormy_platform: tuple[LocalPlatform, Path],
) -> None:
    findings = asyncio.run(contacts_over_caps(stormy_platform[0], events, stormy.journal, records))
    rejected = sum(line["kind"] == "rejected" for line in stormy.journal)
    assert findings.checked["caps"] == len(stormy.requests) - rejected
    assert findings.checked["regulation f"]
    assert findings.violations == []


def test_nothing_is_sent_without_a_permit_or_after_its_end(stormy: Aftermath) -> None:
    assert stormy.sends.without_permit() == []


def test_some_revocations_come_before_the_claim_and_some_after_it(calm: Aftermath, stormy: Aftermath) -> None:
    assert calm.sends.revoked_unused + stormy.sends.revoked_unused
    assert any(send.revoked_at for run in (calm, stormy) for send in run.sends.sends)


def test_nothing_is_sent_when_the_revocation_of_its_permit_is_known(calm: Aftermath, stormy: Aftermath) -> None:
    for run in (calm, stormy):
        assert run.sends.claimed_after_revocation() == []
        assert run.sends.received_after_revocation(LEASE_SECONDS) == []


def test_at_most_two_percent_of_the_attempts_are_unknown(stormy: Aftermath) -> None:
    assert len(stormy.unknown) <= UNKNOWN_SHARE_MAX * stormy.attempts


@pytest.mark.parametrize(
    "table",
    ["postings", "balances", "promises", "scheduler profiles", "scheduler loans", "gate profiles", "gate restrictions"],
)
def test_state_equals_that_of_a_calm_run(table: str, calm: Aftermath, stormy: Aftermath) -> None:
    assert calm.tables[table]
    assert stormy.tables[table] == calm.tables[table]


def test_decisions_and_contacts_equal_those_of_a_calm_run(
    calm: Aftermath, stormy: Aftermath, events: Portfolio
) -> None:
    """But for those who paid or disputed while they were being contacted: either order is lawful, in any run."""
    certain = (calm.decisions.keys() | stormy.decisions.keys()) - stormy.unknown - calm.unknown - events.hurried.keys()
    assert len(certain) > len(events.borrowers) / 2
    for borrower in sorted(certain):
        assert stormy.decisions.get(borrower) == calm.decisions.get(borrower)
        assert stormy.contacts.get(borrower) == calm.contacts.get(borrower)


def test_every_event_is_on_its_topic_and_what_nobody_can_read_in_the_dead_letters(
    stormy: Aftermath, events: Portfolio, records: list[Seen], stormy_platform: tuple[LocalPlatform, Path]
) -> None:
    platform, _ = stormy_platform
    letters = asyncio.run(read_all(platform.kafka_bootstrap_servers))
    poison = {(letter.group, (dict(letter.headers)["n"] or b"").decode()) for letter in letters}
    assert len(poison) == events.poison * len(BY_MESSAGE_TYPE[PaymentReceivedV1].readers)
    wires = (*events.facts, *events.hurried.values(), *events.payments)
    expected = {(dict(wire.headers)["ce_id"] or b"").decode() for wire in wires}
    assert {seen.key[2] for seen in records} >= expected


def test_every_event_is_in_its_effect_at_each_service_that_reads_it_or_in_its_dead_letters(
    stormy: Aftermath, records: list[Seen], stormy_platform: tuple[LocalPlatform, Path]
) -> None:
    assert len({seen.ce_type for seen in records}) > len(BY_CE_TYPE) / 2
    assert asyncio.run(without_effect(stormy_platform[0], records)) == []


def test_every_transaction_of_the_book_balances(stormy: Aftermath, stormy_platform: tuple[LocalPlatform, Path]) -> None:
    assert asyncio.run(_unbalanced(stormy_platform[0].database_url("ledger"))) == 0


def test_nothing_is_left_unread(stormy: Aftermath, stormy_platform: tuple[LocalPlatform, Path]) -> None:
    assert set(asyncio.run(lags(stormy_platform[0].kafka_bootstrap_servers)).values()) == {0}


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
