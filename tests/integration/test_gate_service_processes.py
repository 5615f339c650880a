"""Two gates as processes on real Kafka and Postgres; one is killed in the middle, and a stop ends every permit."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from compliance_gate.adapters.exports import decisions
from decorum_local import LocalPlatform, ServiceProcess
from shared.clock import write_offset
from shared.contracts import ContactAllowedV1, ContactDeferredV1, Decision, PermitRevokedV1, StopOrderedV1
from shared.contracts.registry import BY_CE_TYPE, DECISIONS
from shared.contracts.types import Message
from shared.kafka.records import Outgoing, encode
from shared.postgres.engine import create_engine
from shared.postgres.migrations import migrate
from tests.gate_service_world import NOW, attempt, balance, borrower

BORROWERS = 300
PATIENCE_SECONDS = 120
Found = dict[str, list[bytes]]
"""The bodies published under each event id."""


def replica(platform: LocalPlatform, folder: Path, name: str) -> ServiceProcess:
    environment = {
        **platform.environment(),
        "DECORUM_CLOCK": "shifted",
        "DECORUM_CLOCK_FILE": str(folder / "clock.json"),
        "COMPLIANCE_GATE_NUMBER_HASH_KEY": base64.b64encode(bytes(32)).decode(),
    }
    return ServiceProcess(
        platform.supervisor, name=name, app="compliance_gate.app:app", environment=environment, log_folder=folder
    )


async def publish(platform: LocalPlatform, messages: Iterable[Message], *, suffix: str = "") -> None:
    producer = AIOKafkaProducer(bootstrap_servers=platform.kafka_bootstrap_servers, acks="all")
    await producer.start()
    try:
        for message in messages:
            ce_id = f"{type(message).__name__}-{message.borrower_id}-{getattr(message, 'attempt_id', '')}{suffix}"
            wire = encode(Outgoing(message=message, ce_id=ce_id, ce_time=NOW), source="test")
            await producer.send(wire.topic, wire.value, key=wire.key, headers=list(wire.headers))
        await producer.flush()
    finally:
        await producer.stop()


async def read_until(platform: LocalPlatform, enough: Callable[[Found], bool]) -> Found:
    consumer = AIOKafkaConsumer(
        DECISIONS, bootstrap_servers=platform.kafka_bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    found: Found = defaultdict(list)
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while not enough(found):
            assert time.monotonic() < deadline, f"only {len(found)} came"
            for records in (await consumer.getmany(timeout_ms=300)).values():
                for record in records:
                    headers = dict(record.headers)
                    found[f"{headers['ce_type'].decode()} {headers['ce_id'].decode()}"].append(record.value)
        return found
    finally:
        await consumer.stop()


def told(found: Found) -> list[Any]:
    """One message for each event id; every copy must be the same."""
    messages = []
    for name, bodies in found.items():
        assert len(set(bodies)) == 1, "a replay said something else"
        messages.append(msgspec.json.decode(bodies[0], type=BY_CE_TYPE[name.split()[0]].message_type))
    return messages


async def test_two_gates_decide_each_submission_once_through_a_kill_and_a_stop(
    clean_platform: LocalPlatform, tmp_path: Path
) -> None:
    await migrate("compliance_gate", clean_platform.database_url("compliance_gate"))
    write_offset(tmp_path / "clock.json", NOW - datetime.now(UTC))
    gates = [replica(clean_platform, tmp_path, f"gate-{index}") for index in range(2)]
    ids = [f"B{index}" for index in range(BORROWERS)]
    for gate in gates:
        gate.start()
    for gate in gates:
        await asyncio.to_thread(gate.wait_ready)
    await publish(
        clean_platform,
        [
            *(borrower(b, numbers=(f"+86138{index:08d}",)) for index, b in enumerate(ids)),
            *(balance(b) for b in ids),
        ],
    )
    later = NOW + timedelta(minutes=10)
    wanted = [attempt(b, f"{b}-A{number}", at=later) for number in (1, 2) for b in ids]
    await publish(clean_platform, wanted)
    gates[0].kill()
    await publish(clean_platform, wanted, suffix="-again")
    await publish(clean_platform, [attempt(b, f"{b}-A3", at=later) for b in ids])
    found = await read_until(clean_platform, lambda found: len(found) >= 3 * BORROWERS)
    await asyncio.to_thread(gates[0].start)
    first = told(found)
    assert len(first) == 3 * BORROWERS
    allowed = [each for each in first if isinstance(each, ContactAllowedV1)]
    by_borrower: defaultdict[str, list[Decision]] = defaultdict(list)
    for each in first:
        by_borrower[each.borrower_id].append(each)
    for each_told in by_borrower.values():
        assert sorted(each.borrower_sequence for each in each_told) == [1, 2, 3]
        assert sum(isinstance(each, ContactAllowedV1) for each in each_told) <= 1, "one text message a day"
    assert all(isinstance(each, ContactAllowedV1 | ContactDeferredV1) for each in first)
    assert len(allowed) > BORROWERS / 2

    stop = {"stop_id": "s", "kind": "all", "value": "all", "reason": "drill", "ordered_by": "me", "ordered_at": NOW}
    await publish(clean_platform, [StopOrderedV1(borrower_id="all", **stop)])  # type: ignore[arg-type]
    permitted = {each.attempt_id for each in allowed}

    def all_revoked(found: Found) -> bool:
        return sum(name.startswith("contact.permit-revoked") for name in found) >= len(permitted)

    revoked = [m for m in told(await read_until(clean_platform, all_revoked)) if isinstance(m, PermitRevokedV1)]
    assert {attempt_id for each in revoked for attempt_id in each.attempt_ids} == permitted
    assert {each.reason for each in revoked} == {"stop"}
    await _check_export(clean_platform, first, revoked)
    for gate in gates:
        await asyncio.to_thread(gate.stop)


async def _check_export(platform: LocalPlatform, first: list[Any], revoked: list[PermitRevokedV1]) -> None:
    """The export says what was published, in order, and each line in two languages."""
    engine = create_engine(platform.database_url("compliance_gate"), application_name="test", connections_max=1)
    try:
        lines = [line async for line in decisions(engine)]
    finally:
        await engine.dispose()
    assert [(line["at"], line["decision_id"]) for line in lines] == sorted(
        (line["at"], line["decision_id"]) for line in lines
    )
    assert {line["decision_id"] for line in lines if line["verdict"] != "revoked"} == {m.decision_id for m in first}
    ended = {line["attempt_id"] for line in lines if line["verdict"] == "revoked"}
    assert ended == {attempt_id for message in revoked for attempt_id in message.attempt_ids}
    assert all(line["sentence_en"].endswith(".") and line["sentence_zh"].endswith("。") for line in lines)
    assert set(lines[0]) == {
        *("at", "decision_id", "attempt_id", "submission_number", "borrower_id", "borrower_sequence", "loans"),
        *("channel", "verdict", "rules", "policy_hash", "permit_expires_at", "next_legal_instant"),
        *("sentence_en", "sentence_zh"),
    }
