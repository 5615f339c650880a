"""What a run left on the topics and in the databases, for two counts: every event in every reader, and every cap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import msgspec

from compliance_gate.adapters.exports import decisions
from decorum_local import LocalPlatform
from decorum_simulation.audit.caps import check_caps
from decorum_simulation.audit.records import Borrower, CarrierLine, Decision, Event, Evidence, Run
from decorum_simulation.audit.violations import Findings
from shared.contracts.registry import BY_CE_TYPE, TOPICS
from shared.kafka.dead_letter_reader import read_all
from shared.kafka.log_reader import read_to_end
from shared.postgres.engine import create_engine
from tests.e2e.storm_events import Portfolio

RECORDS_MAX: Final = 2_000_000
COUNTED_EVENTS: Final = ("contact.attempt-submitted.v1", "lender.external-contact-made.v1")
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One record on a topic of the contracts."""

    place: tuple[str, int, int]
    key: Key
    """Borrower, source and id: what an inbox knows it by."""
    ce_type: str
    at: str
    value: bytes


async def records_of(platform: LocalPlatform) -> list[Seen]:
    """Every record of every topic, doubles too."""
    records = await read_to_end(platform.kafka_bootstrap_servers, TOPICS, records_max=RECORDS_MAX)
    return [_seen(record) for record in records]


async def without_effect(platform: LocalPlatform, records: Sequence[Seen]) -> list[tuple[str, Key]]:
    """Service and record, where a service that reads the record's type has neither applied it nor put it aside.

    What a service has applied is in its inbox by the transaction that made the effect.
    """
    inboxes = {name: await _inbox(platform, name) for name in ("scheduler", "compliance-gate", "notifier", "ledger")}
    put_aside = {
        (letter.group, (letter.topic.removesuffix(".dead-letter"), letter.partition, letter.offset))
        for letter in await read_all(platform.kafka_bootstrap_servers)
    }
    return [
        (reader, seen.key)
        for seen in records
        for reader in BY_CE_TYPE[seen.ce_type].readers
        if seen.key not in inboxes[reader] and (reader, seen.place) not in put_aside
    ]


async def contacts_over_caps(
    platform: LocalPlatform, portfolio: Portfolio, journal: Iterable[Mapping[str, Any]], records: Sequence[Seen]
) -> Findings:
    """The demo's audit of caps over this run: it shares no code with the gate and counts the carrier's requests.

    It counts the caps of `courteous` and of Regulation F. Those of mainland China (three connected calls, three
    conversations, six unanswered calls on a number, each in a day) lie above the overlay's two calls a day.
    """
    lines = [msgspec.convert(dict(line), CarrierLine) for line in journal]
    requests = sorted((line for line in lines if line.kind == "request"), key=lambda line: (line.at, line.attempt_id))
    outcomes: defaultdict[str, list[CarrierLine]] = defaultdict(list)
    for line in lines:
        if line.kind != "request":
            outcomes[line.attempt_id].append(line)
    permits: defaultdict[str, list[Decision]] = defaultdict(list)
    owners: dict[str, Borrower] = {}
    borrowers = _borrowers(portfolio)
    for decision in await _decisions(platform):
        if decision.verdict == "allowed" and decision.attempt_id is not None:
            permits[decision.attempt_id].append(decision)
            owners[decision.attempt_id] = borrowers[decision.borrower_id]
    findings = Findings()
    evidence = Evidence(
        run=Run(
            seed=0,
            virtual_start=datetime.min.replace(tzinfo=UTC),
            virtual_end=datetime.max.replace(tzinfo=UTC),
            packs=["cn", "us-reg-f"],
            overlay="courteous",
            borrowers=len(borrowers),
            wall_seconds=0.0,
        ),
        borrowers=borrowers,
        events=_counted_events(records),
        requests=requests,
        outcomes=dict(outcomes),
        permits=dict(permits),
        carrier=lines,
        loans={},
        decisions=[],
        inbound=[],
        payments=[],
        postings=[],
        forms=[],
    )
    check_caps(evidence, owners, findings)
    return findings


def _borrowers(portfolio: Portfolio) -> dict[str, Borrower]:
    return {
        borrower: Borrower(
            borrower_id=borrower,
            loans=[],
            zones=[portfolio.zones[borrower]],
            region="",
            language="",
            numbers=[portfolio.numbers[borrower]],
        )
        for borrower in portfolio.borrowers
    }


def _counted_events(records: Sequence[Seen]) -> dict[str, list[Event]]:
    once = {seen.key: seen for seen in records if seen.ce_type in COUNTED_EVENTS}
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for (_, source, ce_id), seen in once.items():
        event = Event(
            id=ce_id,
            source=source,
            type=seen.ce_type,
            time=datetime.fromisoformat(seen.at),
            data=msgspec.Raw(seen.value),
        )
        events[seen.ce_type.split(".")[1]].append(event)
    return dict(events)


async def _decisions(platform: LocalPlatform) -> list[Decision]:
    engine = create_engine(platform.database_url("compliance_gate"), application_name="storm", connections_max=1)
    try:
        return [msgspec.convert(row, Decision) async for row in decisions(engine)]
    finally:
        await engine.dispose()


async def _inbox(platform: LocalPlatform, service: str) -> set[Key]:
    url = platform.database_url(service.replace("-", "_"))
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch("SELECT borrower_id, ce_source, ce_id FROM inbox")
        return {tuple(row) for row in rows}
    finally:
        await connection.close()


def _seen(record: Any) -> Seen:
    headers = {name: value.decode() for name, value in record.headers}
    return Seen(
        place=(record.topic, record.partition, record.offset),
        key=((record.key or b"").decode(), headers["ce_source"], headers["ce_id"]),
        ce_type=headers["ce_type"],
        at=headers["ce_time"],
        value=record.value,
    )
