"""One run of the storm's script over the whole stack, disturbed or not, and what it left behind."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import yaml

from decorum_local import LocalPlatform
from decorum_local.stack import SERVICES, Stack, StackOptions
from shared.clock import ShiftedClock, write_offset
from shared.ids import derive
from shared.kafka.publisher import Publisher
from shared.kafka.records import WireMessage
from tests.e2e.stillness import until_still
from tests.e2e.storm_disturbances import LEASE_SECONDS
from tests.e2e.storm_events import STEP_DAYS, Portfolio
from tests.e2e.storm_sends import Sends, sends_of

MORNING: Final = datetime.fromisoformat("2026-09-16T08:00+08:00")
"""Before anything may be sent: the facts come to rest first, so that both runs decide on the same ones."""
FIRST_WAVE: Final = MORNING + timedelta(hours=9, minutes=30)
EVENING: Final = MORNING + timedelta(hours=14)
"""Ten in the morning in New York: the wave of the American borrowers, while Chinese ones answer and pay."""
SECOND_WAVE: Final = FIRST_WAVE + timedelta(days=1)
CALL_DAYS: Final = frozenset({4, 29})
"""Days past due on which a step is a call: some borrowers get one in the first wave, others in the second."""
STRATEGIES: Final = Path(__file__).parents[2] / "services" / "scheduler" / "strategies"
STILL_SECONDS_MAX: Final = 240.0
CHUNK_RECORDS: Final = 250
REPLICAS: Final = 2
TEXTS_SECONDS: Final = 6
CALLS_SECONDS: Final = 16
"""How long the texts and the calls of the first wave take, by the rates that the carrier grants: long enough for kills.
Permits for calls wait, so that what is hurried finds some of them unused."""
CALLS_SHARE: Final = 0.28
PERMITS_SECONDS_MAX: Final = 120.0
"""How long what is hurried waits for the first permit of the wave: a killed server can hold it up."""
HURRIED_RECORDS: Final = 8
HURRIED_PAUSE_SECONDS: Final = 0.4
CLAIM_RECORDS_MAX: Final = 10
"""What is claimed and not yet sent is unknown after a kill: at most 2 % of all attempts may be."""

ENVIRONMENT: Final = {
    "DECORUM_LOG_LEVEL": "warning",
    # An outage of the broker puts facts behind; here it must not change what is decided.
    "COMPLIANCE_GATE_FACTS_LAG_SECONDS_MAX": "600",
    "NOTIFIER_CLAIM_RECORDS_MAX": str(CLAIM_RECORDS_MAX),
    "NOTIFIER_PROVIDER_TIMEOUT_SECONDS": "2",
    "NOTIFIER_LEASE_SECONDS": str(LEASE_SECONDS),
    "CARRIER_LOSS_SHARE": "0",
    "CARRIER_RECEIPT_LOSS_SHARE": "0",
    "CARRIER_DISCONNECT_SHARE": "0",
    "CARRIER_DELAY_SHARE": "0",
    "CARRIER_DELAY_SCALE": "0.02",
}


@dataclass(slots=True, kw_only=True)
class Aftermath:
    """What a run left: rows by table without the instants that differ from run to run."""

    tables: dict[str, list[tuple[Any, ...]]]
    journal: list[dict[str, Any]]
    """Everything that the carrier wrote down."""
    sends: Sends
    decisions: dict[str, list[tuple[Any, ...]]]
    """By borrower: attempt, submission, verdict, rules."""
    contacts: dict[str, list[tuple[Any, ...]]]
    """By borrower: attempt and number."""
    unknown: set[str]
    """Borrowers with an attempt whose fate is unknown."""
    attempts: int

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What the carrier was asked for."""
        return [line for line in self.journal if line["kind"] == "request"]


class StormRun:
    """The script: facts, first wave, answers, payments, second wave; each comes to rest before the next."""

    def __init__(self, platform: LocalPlatform, folder: Path, portfolio: Portfolio) -> None:
        self._platform = platform
        self._portfolio = portfolio
        self._clock_file = folder / "clock.json"
        self._moves: list[tuple[datetime, timedelta]] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._move_to(MORNING)
        clock = {"DECORUM_CLOCK": "shifted", "DECORUM_CLOCK_FILE": str(self._clock_file)}
        texts, calls = len(portfolio.borrowers), len(portfolio.borrowers) * CALLS_SHARE
        rates = {
            "NOTIFIER_SMS_RATE_PER_SECOND": str(texts / TEXTS_SECONDS / REPLICAS),
            "NOTIFIER_VOICE_RATE_PER_SECOND": str(calls / CALLS_SECONDS / REPLICAS),
        }
        strategies = {"SCHEDULER_STRATEGIES_FOLDER": str(_write_strategies(folder / "strategies"))}
        environment = {**ENVIRONMENT, **clock, **rates, **strategies}
        self.stack = Stack(platform, folder / "logs", StackOptions(replicas=REPLICAS, environment=environment))

    def run(self, disturbances: Sequence[Sequence[Callable[[], None]]] = ((), (), (), ())) -> Aftermath:
        """Play the script; the disturbances of a phase happen while it is under way."""
        self._platform.create_databases([])
        self.stack.prepare()
        self.stack.start()
        try:
            for act, disturbing in zip(
                (self._facts, self._first_wave, self._answers_and_payments, self._second_wave),
                disturbances,
                strict=True,
            ):
                self._play(act, disturbing)
            return asyncio.run(self._aftermath())
        finally:
            self.stack.stop()

    def _play(self, act: Callable[[], None], disturbances: Sequence[Callable[[], None]]) -> None:
        with ThreadPoolExecutor(max(1, len(disturbances))) as pool:
            disturbing = [pool.submit(disturbance) for disturbance in disturbances]
            act()
        for disturbance in disturbing:
            disturbance.result()
        self.stack.wait_ready()
        asyncio.run(self._until_still())

    def _facts(self) -> None:
        asyncio.run(self._publish(self._portfolio.facts))

    def _first_wave(self) -> None:
        self._move_to(FIRST_WAVE)
        asyncio.run(self._hurry())

    def _answers_and_payments(self) -> None:
        self._move_to(EVENING)
        asyncio.run(self._answer())
        asyncio.run(self._publish(self._portfolio.payments))

    def _second_wave(self) -> None:
        self._move_to(SECOND_WAVE)

    def _move_to(self, instant: datetime) -> None:
        offset = instant - datetime.now(UTC)
        write_offset(self._clock_file, offset)
        self._moves.append((instant, offset))

    def _wall_time(self, at: datetime) -> datetime:
        """When the shifted clock showed `at`."""
        return at - next(offset for moved_to, offset in reversed(self._moves) if moved_to <= at)

    async def _hurry(self) -> None:
        """Publish what is hurried while permits of its borrowers wait at the notifier, and at last all the rest."""
        remaining = dict(self._portfolio.hurried)
        publisher = Publisher(bootstrap_servers=self._platform.kafka_bootstrap_servers, client_id="storm-hurry")
        await publisher.start()
        deadline = time.monotonic() + PERMITS_SECONDS_MAX
        permitted = False
        records_max = max(HURRIED_RECORDS, len(remaining) // HURRIED_RECORDS)
        try:
            while remaining and time.monotonic() < deadline:
                waiting = await self._waiting_permits()
                now = [borrower for borrower in remaining if borrower in waiting][:records_max]
                if now and not permitted:
                    permitted, deadline = True, time.monotonic() + CALLS_SECONDS
                await self._insist(publisher, [remaining.pop(borrower) for borrower in now])
                await asyncio.sleep(HURRIED_PAUSE_SECONDS)
            await self._insist(publisher, list(remaining.values()))
        finally:
            await publisher.stop()

    async def _waiting_permits(self) -> set[str]:
        """Whose permits nobody has used yet; nobody's, as far as is known, while the database is away."""
        try:
            rows = await self._rows("notifier", "SELECT DISTINCT borrower_id FROM permit WHERE state = 'permitted'")
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return set()
        return {borrower for (borrower,) in rows}

    async def _publish(self, messages: Sequence[WireMessage]) -> None:
        publisher = Publisher(bootstrap_servers=self._platform.kafka_bootstrap_servers, client_id="storm")
        await publisher.start()
        try:
            for start in range(0, len(messages), CHUNK_RECORDS):
                await self._insist(publisher, messages[start : start + CHUNK_RECORDS])
                await asyncio.sleep(0.2)
        finally:
            await publisher.stop()

    async def _insist(self, publisher: Publisher, messages: Sequence[WireMessage]) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                return await publisher.publish(messages)
            except Exception:  # the broker is being killed: a lender's core would try again, and so does this one
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.5)

    async def _answer(self) -> None:
        """What borrowers reply to the first text, through the carrier: it insists until the notifier has it."""
        at = ShiftedClock(self._clock_file).now()
        inbound = [
            {
                "inbound_id": derive("storm reply", borrower),
                "channel": "sms",
                "from": self._portfolio.numbers[borrower],
                "text": text,
                "at": at.isoformat(),
                "in_reply_to": None,
            }
            for borrower, text in self._portfolio.replies.items()
        ]
        async with aiohttp.ClientSession() as session:
            for start in range(0, len(inbound), CHUNK_RECORDS):
                chunk = inbound[start : start + CHUNK_RECORDS]
                async with session.post(f"{self.stack.carrier.url}/simulation/inbound", json=chunk) as answer:
                    assert answer.status == 202, await answer.text()

    async def _until_still(self) -> None:
        now = ShiftedClock(self._clock_file).now() + timedelta(seconds=5)
        urls = {name: self._platform.database_url(name) for name in self._databases()}
        await until_still(self._platform.kafka_bootstrap_servers, urls, now, seconds=STILL_SECONDS_MAX)

    @staticmethod
    def _databases() -> list[str]:
        return [name.replace("-", "_") for name in SERVICES]

    async def _aftermath(self) -> Aftermath:
        address = f"{self.stack.carrier.url}/simulation/status"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            assert answer.status == 200, "asking for the status also writes the journal to its file"
        lines = [json.loads(line) for line in self.stack.carrier_journal.read_text().splitlines()]
        tables = {
            name: await self._rows(database, statement) for name, (database, statement) in COMPARED_TABLES.items()
        }
        decisions: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for borrower, *decision, message in await self._rows("compliance_gate", DECISIONS):
            rules = tuple((rule["rule_id"], rule["result"]) for rule in json.loads(message)["rules"])
            decisions[borrower].append((*decision, rules))
        contacts: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        permits = await self._rows("notifier", "SELECT borrower_id, attempt_id, state FROM permit")
        borrower_of = {str(attempt): borrower for borrower, attempt, _ in permits}
        requests = [line for line in lines if line["kind"] == "request"]
        received = [(r["attempt_id"], datetime.fromisoformat(r["at"])) for r in requests]
        for request in requests:
            contacts[borrower_of[request["attempt_id"]]].append((request["attempt_id"], request["to"]))
        return Aftermath(
            tables=tables,
            journal=lines,
            sends=await sends_of(
                self._platform.database_url("notifier"), [(a, at, self._wall_time(at)) for a, at in received]
            ),
            decisions=decisions,
            contacts={borrower: sorted(made) for borrower, made in contacts.items()},
            unknown={borrower for borrower, _, state in permits if state == "unknown"},
            attempts=len({attempt for _, attempt, _ in permits}),
        )

    async def _rows(self, database: str, statement: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self._platform.database_url(database).replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()


DECISIONS: Final = (
    "SELECT borrower_id, attempt_id, submission_number, verdict, message FROM decision "
    "ORDER BY borrower_id, attempt_id, submission_number"
)
COMPARED_TABLES: Final = {
    "postings": (
        "ledger",
        "SELECT borrower_id, transaction_id, account, loan_id, kind, payment_id, currency, amount_minor, at "
        "FROM posting ORDER BY 1, 2, 3",
    ),
    "balances": (
        "ledger",
        "SELECT borrower_id, loan_id, currency, balance_version, overdue_fees_minor, overdue_interest_minor, "
        "overdue_principal_minor, outstanding_principal_minor, closed FROM loan ORDER BY 1, 2",
    ),
    "promises": (
        "ledger",
        "SELECT borrower_id, promise_id, currency, promised_minor, promised_on, state, paid_minor "
        "FROM promise ORDER BY 1, 2",
    ),
    "scheduler profiles": (
        "scheduler",
        "SELECT borrower_id, language, region, zones, contact_places::text FROM borrower ORDER BY 1",
    ),
    "scheduler loans": (
        "scheduler",
        "SELECT borrower_id, loan_id, balance_version, overdue_minor, outstanding_minor, oldest_unpaid_due_on, closed "
        "FROM loan ORDER BY 1, 2",
    ),
    "gate profiles": ("compliance_gate", "SELECT borrower_id, profile::text FROM borrower ORDER BY 1"),
    "gate restrictions": (
        "compliance_gate",
        "SELECT borrower_id, restriction_id, kind, active FROM restriction ORDER BY 1, 2",
    ),
}


def _write_strategies(folder: Path) -> Path:
    """The shipped strategies with one text or call at ten o'clock on each day of the storm, and nothing due before."""
    shutil.copytree(STRATEGIES, folder)
    for path in folder.glob("courteous-*.yaml"):
        strategy = yaml.safe_load(path.read_text())
        strategy["steps"] = [_step(day) for days in ((day, day + 1) for day in STEP_DAYS) for day in days]
        strategy["spacing_hours"] = 12
        path.write_text(yaml.safe_dump(strategy, allow_unicode=True, sort_keys=False))
    return folder


def _step(day: int) -> dict[str, Any]:
    channel = "voice" if day in CALL_DAYS else "sms"
    return {
        "key": f"day-{day:03d}-{channel}",
        "day": day,
        "channel": channel,
        "template": "call-overdue" if channel == "voice" else "sms-overdue",
        "local_hours": ["10:00"],
        "lifetime_hours": 12,
    }
