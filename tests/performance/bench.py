"""`make bench`: measures the stack beside its floor, prints a table, stores JSON under var/bench."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform as machine
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import uvloop
from rich.console import Console
from rich.table import Table

from decorum_local import LocalPlatform
from decorum_local.stack import SERVICES
from tests.performance import decisions, measures
from tests.performance.rig import Rig

VAR: Final = Path(__file__).parents[2] / "var" / "bench"
HELD_SHARE: Final = 0.5
"""Latency is measured at this share of the throughput that was measured just before."""


async def measure(rig: Rig, console: Console, *, contacts: int, seconds: float) -> dict[str, Any]:
    """All figures of one run, by the name of what was measured."""
    figures: dict[str, Any] = {}
    await rig.connect()
    try:
        console.print("events → contacts, all at once")
        figures["end_to_end"] = await measures.throughput(rig, contacts=contacts)
        rate = HELD_SHARE * figures["end_to_end"]["contacts_per_second"]
        console.print(f"latency at {rate:.0f} contacts/s")
        figures["latency"] = await measures.latency(rig, rate_per_second=rate, seconds=seconds)
        figures["peak_memory_mb"] = rig.peak_memory_mb()  # before services are restarted
        console.print("payment → last possible send")
        figures["payment"] = await measures.payment_stops(rig, borrowers_count=500)
        for service in SERVICES:
            rig.stack.replicas[service][0].stop()
        console.print("the floor: bare clients over the same hops")
        figures["floor"] = await measures.floor(rig, contacts=contacts)
        figures["floor_ratio"] = figures["end_to_end"]["contacts_per_second"] / figures["floor"]["contacts_per_second"]
        recorded = await rig.recorded()
    finally:
        await rig.close()
    for service in SERVICES:
        console.print(f"{service} alone")
        figures[f"stage {service}"] = await measures.stage(service, recorded, rig.folder / service)
    return figures


def table(figures: Mapping[str, Any]) -> Table:
    """The figures as a person reads them."""
    rows = Table("measure", "figure", "unit", title="Decorum, two cores shared with broker and database")
    end, latency, payment = figures["end_to_end"], figures["latency"], figures["payment"]
    rows.add_row("loan event → carrier, all at once", f"{end['contacts_per_second']:.0f}", "contacts/s")
    rows.add_row("  without the first and last tenth", f"{end['contacts_per_second_steady']:.0f}", "contacts/s")
    rows.add_row(f"  latency p50 at {latency['rate_per_second']:.0f}/s", f"{latency['p50_ms']:.0f}", "ms")
    rows.add_row("  latency p99", f"{latency['p99_ms']:.0f}", "ms")
    rows.add_row("payment → last possible send", f"{payment['one_payment_ms']:.0f}", "ms")
    rows.add_row(f"  {payment['payments']} payments at once, the last", f"{payment['all_payments_ms']:.0f}", "ms")
    rows.add_row("floor: bare clients, same hops", f"{figures['floor']['contacts_per_second']:.0f}", "contacts/s")
    rows.add_row("ratio to the floor", f"{figures['floor_ratio']:.2f}", "")
    in_process = figures["decisions"]
    rows.add_row("gate decisions in one process", f"{in_process['decisions_per_second']:.0f}", "decisions/s")
    rows.add_row("  its best round", f"{in_process['decisions_per_second_best']:.0f}", "decisions/s")
    for service in SERVICES:
        rows.add_row(f"{service} alone", f"{figures[f'stage {service}']['records_per_second']:.0f}", "records/s")
    for name, memory in figures["peak_memory_mb"].items():
        rows.add_row(f"peak memory of {name}", f"{memory:.0f}", "MiB")
    return rows


def main() -> None:
    """Run everything once and store it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=8_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    console = Console()
    VAR.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=VAR))
    try:
        console.print("decisions in one process")
        in_process = decisions.measure()
        with LocalPlatform(folder / "servers") as servers:
            rig = Rig(servers, folder / "stack")
            rig.stack.prepare()
            rig.stack.start()
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                figures = runner.run(measure(rig, console, contacts=options.contacts, seconds=options.seconds))
            rig.stack.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures["decisions"] = in_process
    stamp = datetime.now(UTC)
    about = {"at": stamp.isoformat(), "cores": os.cpu_count(), "python": machine.python_version()}
    path = VAR / f"{stamp:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps({**about, **figures}, indent=2) + "\n")
    console.print(table(figures))
    console.print(f"stored in {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path.name}")


if __name__ == "__main__":
    main()
