"""Collects what a run leaves behind, from every owner of a part of it, into one folder."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

from decorum_simulation.carrier.exchange import Inbound
from decorum_simulation.demo.driver import Driver
from decorum_simulation.demo.files import instant, sort_journal, write_json, write_lines
from decorum_simulation.demo.options import OVERLAY, PACKS
from decorum_simulation.demo.topics import read_events
from decorum_simulation.virtual_world import VirtualWorld

INSTANTS = frozenset({"at", "permit_expires_at", "next_legal_instant"})


async def collect(
    folder: Path, driver: Driver, *, servers: str, decisions: AsyncIterator[Any], postings: AsyncIterator[Any]
) -> None:
    """Write every file of the run but `run.json` and the report."""
    world = driver.world
    _write_borrowers(folder, world)
    _write_loans(folder, world)
    _write_payments(folder, world, driver.payments_known_at)
    _write_inbound(folder, await driver.inbound())
    sort_journal(folder / "carrier.jsonl")
    write_lines(folder / "events.jsonl", [row async for row in read_events(servers)])
    lines = [_with_instants(row) async for row in decisions]
    write_lines(
        folder / "decisions.jsonl", [((row["at"], row["decision_id"], row["attempt_id"]), row) for row in lines]
    )
    lines = [_with_instants(row) async for row in postings]
    write_lines(
        folder / "postings.jsonl",
        [((row["at"], row["transaction_id"], row["account"], row["amount_minor"]), row) for row in lines],
    )


def _with_instants(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its instants in the one form of these files."""
    return {name: instant(value) if name in INSTANTS and value is not None else value for name, value in row.items()}


def write_run(folder: Path, world: VirtualWorld, wall_seconds: float) -> None:
    """The run's own description."""
    plan = world.plan
    run = {
        "seed": plan.seed,
        "virtual_start": plan.start,
        "virtual_end": plan.end,
        "packs": list(PACKS),
        "overlay": OVERLAY,
        "borrowers": len(world.core.people),
        "wall_seconds": round(wall_seconds, 1),
    }
    write_json(folder / "run.json", run)


def _write_borrowers(folder: Path, world: VirtualWorld) -> None:
    rows = []
    for person in world.core.people.values():
        line = {
            "borrower_id": person.borrower_id,
            "loans": [loan.loan_id for loan in world.core.loans_of[person.borrower_id]],
            "zones": list(person.candidate_zones),
            "region": person.region,
            "language": person.language,
            "numbers": [number.value for number in person.numbers],
        }
        rows.append(((person.borrower_id,), line))
    write_lines(folder / "borrowers.jsonl", rows)


def _write_loans(folder: Path, world: VirtualWorld) -> None:
    rows = [((instant(change.at), change.loan_id), dataclasses.asdict(change)) for change in world.core.changes]
    write_lines(folder / "loans.jsonl", rows)


def _write_payments(folder: Path, world: VirtualWorld, known_at: dict[str, datetime]) -> None:
    rows = [
        (
            (instant(payment.at), payment.payment_id),
            {**dataclasses.asdict(payment), "known_at": known_at.get(payment.payment_id)},
        )
        for payment in world.core.payments
    ]
    write_lines(folder / "payments.jsonl", rows)


def _write_inbound(folder: Path, inbound: list[Inbound]) -> None:
    rows = [
        (
            (instant(item.at), item.inbound_id),
            {
                "at": item.at,
                "id": item.inbound_id,
                "kind": "keypress" if item.channel == "voice" else "sms",
                "from": item.sender,
                "text": item.text,
                "known_at": item.known_at,
            },
        )
        for item in inbound
    ]
    write_lines(folder / "inbound.jsonl", rows)
