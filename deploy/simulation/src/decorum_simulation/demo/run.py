"""One run from its options to its files: servers up, world alive, everything collected, audited and reported."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from decorum_local.platform import require_embedded_servers
from decorum_simulation.audit.run import AuditResult, audit
from decorum_simulation.demo.cluster import Cluster
from decorum_simulation.demo.collect import collect, write_run
from decorum_simulation.demo.driver import Driver
from decorum_simulation.demo.options import DemoOptions
from decorum_simulation.demo.participants import Ensemble
from decorum_simulation.demo.topics import count_dead_letters
from decorum_simulation.lines import Lines
from decorum_simulation.report.page import write_report
from decorum_simulation.virtual_world import VirtualWorld
from shared.errors import Rejection
from shared.kafka.publisher import Publisher
from shared.postgres.engine import create_engine

FILES: Final = (
    "run.json",
    "report.html",
    *(
        f"{name}.jsonl"
        for name in ("borrowers", "events", "loans", "decisions", "carrier", "inbound", "payments", "postings")
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """How a run is followed: a line for each stage, and the virtual instant after each tick."""

    say: Callable[[str], None]
    on_tick: Callable[[datetime], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What came of a run."""

    audit: AuditResult
    wall_seconds: float
    ticks: int
    dead_letters: int


def run_demo(options: DemoOptions, watcher: Watcher) -> DemoResult:
    """Run it; blocks until the report is written. Everything started is ended, whatever happens."""
    require_embedded_servers("virtual time")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (options.out / name).unlink(missing_ok=True)
    except OSError as error:
        raise Rejection(f"--out {options.out} can't be used: {error.strerror}") from error
    began = time.monotonic()
    plan = options.plan()
    watcher.say("making borrowers and loans")
    world = VirtualWorld(plan=plan)
    servers = options.out / "servers"
    try:
        with Cluster(plan, folder=servers, journal=options.out / "carrier.jsonl", say=watcher.say) as cluster:
            ticks, dead_letters, lived = asyncio.run(_live(options, world, cluster, watcher, began))
    finally:
        _keep_logs(servers, options.out / "logs")
    watcher.say("auditing")
    result = audit(options.out)
    watcher.say("writing the report")
    write_report(options.out, result)
    return DemoResult(audit=result, wall_seconds=lived, ticks=ticks, dead_letters=dead_letters)


async def _live(
    options: DemoOptions, world: VirtualWorld, cluster: Cluster, watcher: Watcher, began: float
) -> tuple[int, int, float]:
    servers = cluster.platform.kafka_bootstrap_servers
    publisher = Publisher(bootstrap_servers=servers, client_id="lender")
    ensemble = Ensemble(cluster.participants(), publisher.published)
    lines = Lines(seed=options.seed, conditions=options.conditions)
    driver = Driver(world=world, ensemble=ensemble, publisher=publisher, on_tick=watcher.on_tick, lines=lines)
    await publisher.start()
    try:
        watcher.say("living")
        await ensemble.assigned()
        await driver.run()
        watcher.say("collecting")
        await _collect(options.out, driver, cluster)
    finally:
        await publisher.stop()
        ensemble.close()
    lived = time.monotonic() - began
    write_run(options.out, world, lived)
    return driver.ticks, await count_dead_letters(servers), lived


async def _collect(out: Path, driver: Driver, cluster: Cluster) -> None:
    from compliance_gate.adapters.exports import decisions  # the owners of the rows know how to read them
    from ledger.adapters.exports import postings

    gate, ledger = (_engine(cluster, name) for name in ("compliance_gate", "ledger"))
    try:
        await collect(
            out,
            driver,
            servers=cluster.platform.kafka_bootstrap_servers,
            decisions=decisions(gate),
            postings=postings(ledger),
        )
    finally:
        await gate.dispose()
        await ledger.dispose()


def _engine(cluster: Cluster, name: str) -> AsyncEngine:
    return create_engine(cluster.platform.database_url(name), application_name="decorum-demo", connections_max=2)


def _keep_logs(servers: Path, logs: Path) -> None:
    """The services' logs stay beside the files; the servers' data goes."""
    if (servers / "logs").is_dir():
        shutil.rmtree(logs, ignore_errors=True)
        shutil.move(servers / "logs", logs)
    shutil.rmtree(servers, ignore_errors=True)
