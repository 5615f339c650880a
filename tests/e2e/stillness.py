"""Tells when a whole stack of services has come to rest: all consumed, outboxes empty, nothing being sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.contracts.registry import TOPICS, topics_read_by
from shared.kafka.log_reader import ends_of

GROUPS: Final = ("scheduler", "compliance-gate", "notifier", "ledger")
STILL_CHECKS: Final = 3
CHECK_SECONDS: Final = 0.5
OPEN_WORK: Final = {
    "scheduler": ("SELECT count(*) FROM outbox", "SELECT count(*) FROM borrower WHERE wake_at <= $1"),
    "compliance_gate": ("SELECT count(*) FROM outbox",),
    "notifier": (
        "SELECT count(*) FROM outbox",
        "SELECT count(*) FROM permit WHERE state IN ('permitted', 'sending')",
    ),
    "ledger": ("SELECT count(*) FROM outbox",),
}


class NotStill(AssertionError):
    """The stack did not come to rest in time; the text says what was still open."""


async def until_still(bootstrap_servers: str, database_urls: dict[str, str], now: object, *, seconds: float) -> None:
    """Wait until nothing is under way in several checks in a row; raises `NotStill` after `seconds`."""
    deadline = time.monotonic() + seconds
    quiet, last = 0, "nothing was checked"
    before: Sequence[int] = ()
    while time.monotonic() < deadline:
        try:
            open_work = await _open_work(bootstrap_servers, database_urls, now)
        except Exception as error:  # servers are being killed meanwhile: any failure means "not yet"
            open_work, quiet = {"check": 1}, 0
            last = type(error).__name__
        else:
            counts = tuple(open_work.values())
            quiet = quiet + 1 if not any(v for k, v in open_work.items() if k != "moved") and counts == before else 0
            before, last = counts, str({name: count for name, count in open_work.items() if count})
        if quiet >= STILL_CHECKS:
            return
        await asyncio.sleep(CHECK_SECONDS)
    raise NotStill(f"still open after {seconds} s: {last}")


async def _open_work(bootstrap_servers: str, database_urls: dict[str, str], now: object) -> dict[str, int]:
    work = {f"lag of {group}": lag for group, lag in (await lags(bootstrap_servers)).items()}
    work["moved"] = 0
    for name, url in database_urls.items():
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=5)
        try:
            for statement in OPEN_WORK[name]:
                arguments = (now,) if "$1" in statement else ()
                work[f"{name}: {statement}"] = await connection.fetchval(statement, *arguments)
            work["moved"] += await connection.fetchval("SELECT count(*) FROM inbox")
        finally:
            await connection.close()
    return work


async def lags(bootstrap_servers: str) -> dict[str, int]:
    """Records that each service's group has not committed yet, over all topics that it reads."""
    ends = await ends_of(bootstrap_servers, TOPICS)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        await admin.start()
        return {group: await _lag(ends, admin, group) for group in GROUPS}
    finally:
        await admin.close()


async def _lag(ends: Mapping[TopicPartition, int], admin: AIOKafkaAdminClient, group: str) -> int:
    topics = topics_read_by(group)
    committed = await admin.list_consumer_group_offsets(group)
    return sum(end - (committed[tp].offset if tp in committed else 0) for tp, end in ends.items() if tp.topic in topics)
