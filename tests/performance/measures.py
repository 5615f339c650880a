"""The measurements, one function each; all figures of a run come from the same minutes on the same machine."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import aiohttp
import asyncpg

from decorum_local import LocalPlatform
from decorum_local.supervisor import ChildProcess, Command
from shared.contracts.registry import topics_read_by
from shared.kafka.records import WireMessage
from tests.performance import load
from tests.performance.floor import HOPS
from tests.performance.rig import Rig


async def throughput(rig: Rig, *, contacts: int) -> dict[str, Any]:
    """Loan event to carrier accept, all events at once: contacts a second between the first and the last tenth."""
    borrowers = load.borrower_ids(contacts)
    await rig.publish(load.profiles(borrowers, numbers_from=0))
    await rig.until_read()
    rig.reset_clock()
    cpu_before = rig.cpu_seconds()
    started = time.time()
    await rig.publish(load.overdue(borrowers))
    await rig.until(lambda: _requests_reach(rig, contacts), every_seconds=0.25)
    whole = time.time() - started
    cpu_after = rig.cpu_seconds()
    instants = sorted(_wall(rig, line["at"]) for line in rig.requests())
    first, last = instants[len(instants) // 10], instants[-len(instants) // 10]
    return {
        "contacts": contacts,
        "seconds": whole,
        "contacts_per_second": contacts / whole,
        "contacts_per_second_steady": 0.8 * contacts / max(last - first, 1e-6),
        **{f"cpu_us_per_contact {name}": 1e6 * (cpu_after[name] - cpu_before[name]) / contacts for name in cpu_after},
    }


async def latency(rig: Rig, *, rate_per_second: float, seconds: float) -> dict[str, float]:
    """Loan event acknowledged by Kafka to request at the carrier, at a steady rate that the stack can hold."""
    count = max(50, int(rate_per_second * seconds))
    borrowers = load.borrower_ids(count, prefix="Q")
    await rig.publish(load.profiles(borrowers, numbers_from=10_000_000))
    await rig.until_read()
    rig.reset_clock()
    events = load.overdue(borrowers)
    before = len(rig.requests())
    published: dict[str, float] = {}
    step = 0.05
    size = max(1, round(rate_per_second * step))
    for index, start in enumerate(range(0, count, size)):
        if index == 0:
            began = time.perf_counter()
        await asyncio.sleep(max(0.0, began + index * step - time.perf_counter()))
        chunk = events[start : start + size]
        at = time.time()
        await rig.publish(chunk)
        published.update(dict.fromkeys((wire.key.decode() for wire in chunk), at))
    await rig.until(lambda: _requests_reach(rig, before + count))
    number_of = {load.number_of(10_000_000 + i): borrower for i, borrower in enumerate(borrowers)}
    taken = [
        _wall(rig, line["at"]) - published[number_of[line["to"]]] for line in rig.requests() if line["to"] in number_of
    ]
    cuts = quantiles(taken, n=100)
    return {"rate_per_second": rate_per_second, "p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}


async def payment_stops(rig: Rig, *, borrowers_count: int) -> dict[str, float]:
    """Payment acknowledged by Kafka to the revocation standing in the notifier: after it no send is possible."""
    borrowers = load.borrower_ids(borrowers_count, prefix="R")
    await rig.publish(load.profiles(borrowers, numbers_from=20_000_000))
    await rig.until_read()
    rig.reset_clock()
    # A carrier that takes almost nothing keeps the permits open.
    rig.restart("notifier", NOTIFIER_SMS_RATE_PER_SECOND="0.1")
    await rig.publish(load.overdue(borrowers))
    await rig.until(lambda: _at_least(rig, "notifier", _OPEN_PERMITS, 0.95 * borrowers_count))
    held = await rig.column("notifier", _HELD_BORROWERS)
    began = time.perf_counter()
    await rig.publish(load.payments(held[:1]))
    await rig.until(lambda: _at_least(rig, "notifier", _REVOCATIONS, 1), every_seconds=0.002)
    taken = time.perf_counter() - began
    began = time.perf_counter()
    await rig.publish(load.payments(held[1:]))
    await rig.until(lambda: _at_least(rig, "notifier", _REVOCATIONS, len(held)), every_seconds=0.01)
    all_taken = time.perf_counter() - began
    rig.restart("notifier")
    return {"one_payment_ms": taken * 1000, "payments": len(held), "all_payments_ms": all_taken * 1000}


_OPEN_PERMITS: Final = "SELECT count(*) FROM permit WHERE borrower_id LIKE 'R%' AND state = 'permitted'"
_HELD_BORROWERS: Final = "SELECT borrower_id FROM permit WHERE borrower_id LIKE 'R%' AND state = 'permitted'"
_REVOCATIONS: Final = "SELECT count(*) FROM revocation WHERE borrower_id LIKE 'R%'"


async def stage(service: str, recorded: Sequence[WireMessage], folder: Path) -> dict[str, float]:
    """One service alone, on servers of its own, through what it read in the run that was recorded: records a second.

    Counted from when it is ready, over what it had not read by then.
    """
    topics = topics_read_by(service)
    own = [message for message in recorded if message.topic in topics]
    with LocalPlatform(folder / "servers") as servers:
        rig = Rig(servers, folder / "stack")
        rig.stack.prepare()
        await rig.connect()
        try:
            await rig.publish(own)
        finally:
            await rig.close()
        rig.reset_clock()
        processes = [rig.stack.carrier, rig.stack.replicas[service][0]]
        rig.stack.start(processes)
        left = await rig.behind(service)
        seconds = await rig.until_read(service)
        for process in processes:
            process.stop()
    return {"records": left, "seconds": seconds, "records_per_second": left / seconds}


async def floor(rig: Rig, *, contacts: int) -> dict[str, float]:
    """The same bytes through the same hops by the bare clients; the carrier is the same process as before."""
    await rig.create_floor_topics()
    url = rig.platform.database_url("floor")
    database = url.replace("+asyncpg", "")
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TABLE floor (hop text, id text, body bytea, PRIMARY KEY (hop, id))")
    await connection.close()
    environment = {**os.environ, **rig.stack.environment(), "FLOOR_DATABASE_URL": database}
    children: list[ChildProcess] = [
        rig.platform.supervisor.start(
            Command(
                name=f"floor-{hop}",
                arguments=[sys.executable, "-m", "tests.performance.floor", hop],
                environment=environment,
                log_path=rig.folder / f"floor-{hop}.log",
            )
        )
        for hop in HOPS
    ]
    try:
        await asyncio.sleep(4)
        before = await _carrier_requests(rig)
        events = load.overdue(load.borrower_ids(contacts, prefix="F"))
        started = time.perf_counter()
        await rig.publish([type(e)(topic="floor.events", key=e.key, value=e.value, headers=()) for e in events])

        async def all_there() -> bool:
            return await _carrier_requests(rig) >= before + contacts

        await rig.until(all_there)
        seconds = time.perf_counter() - started
    finally:
        for child in children:
            child.stop(timeout_seconds=5)
    return {"contacts": contacts, "seconds": seconds, "contacts_per_second": contacts / seconds}


async def _carrier_requests(rig: Rig) -> int:
    address = f"{rig.stack.carrier.url}/simulation/status"
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        status: dict[str, Any] = await answer.json()
    return int(status["requests"])


async def _requests_reach(rig: Rig, count: int) -> bool:
    return await _carrier_requests(rig) >= count


async def _at_least(rig: Rig, database: str, statement: str, count: float) -> bool:
    return await rig.count(database, statement) >= count


def _wall(rig: Rig, business: str) -> float:
    """The wall time (unix seconds) of a business instant, by the rig's clock."""
    return datetime.fromisoformat(business).astimezone(UTC).timestamp() - rig.offset_seconds
