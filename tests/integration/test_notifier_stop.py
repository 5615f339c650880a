"""A stop while the gate is down: the notifier reads the order itself, and claims nothing after that."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from typer.testing import CliRunner

from decorum_local import LocalPlatform, ServiceProcess
from shared.cli import build
from shared.contracts.types import Message
from shared.kafka.publisher import Publisher
from shared.kafka.records import Outgoing, encode
from shared.postgres.migrations import migrate
from tests.notifier_world.carrier import HttpCarrier
from tests.notifier_world.messages import allowed, borrower
from tests.toy_service import until

PERMITS = 400
LATE_PERMITS = 50
ALL = PERMITS + LATE_PERMITS
RATE_PER_SECOND = 10
NOW = datetime.now(UTC).replace(microsecond=0)


def notifier(platform: LocalPlatform, carrier: HttpCarrier, folder: Path, number: int) -> ServiceProcess:
    """A replica that would need most of a minute for the permits."""
    environment = {
        **platform.environment(),
        "NOTIFIER_SMS_URL": carrier.url,
        "NOTIFIER_SMS_KEY": "key",
        "NOTIFIER_SMS_RATE_PER_SECOND": str(RATE_PER_SECOND),
        "NOTIFIER_WEBHOOK_SECRET": "a secret of the carrier",
        "NOTIFIER_SEALING_KEY": base64.b64encode(bytes(32)).decode(),
    }
    return ServiceProcess(
        platform.supervisor,
        name=f"notifier-{number}",
        app="notifier.app:app",
        environment=environment,
        log_folder=folder,
    )


async def publish(platform: LocalPlatform, messages: list[tuple[Message, str]]) -> None:
    publisher = Publisher(bootstrap_servers=platform.kafka_bootstrap_servers, client_id="test")
    await publisher.start()
    try:
        await publisher.publish(
            [encode(Outgoing(message=message, ce_id=ce_id, ce_time=NOW), source="test") for message, ce_id in messages]
        )
    finally:
        await publisher.stop()


async def order_stop(platform: LocalPlatform) -> None:
    """`decorum stop --all`, as an operator gives it."""
    order = ("stop", "--all", "--reason", "a complaint", "--by", "compliance-1")
    said = await asyncio.to_thread(CliRunner().invoke, build(), order, env=platform.environment())
    assert said.exit_code == 0, said.output


async def instant_after_stop(connection: Any) -> datetime:
    """The database's time when the stop had been committed and every claim that was under way at that time was over."""

    async def stored() -> bool:
        return bool(await connection.fetchval("SELECT count(*) FROM operator_stop WHERE NOT lifted"))

    await until(stored, "the notifier has stored the stop")
    async with connection.transaction():
        await connection.execute("LOCK TABLE permit IN SHARE MODE")
        instant: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return instant


async def test_what_is_claimed_after_a_stop_is_nothing_though_permits_are_there_and_no_gate_runs(
    clean_platform: LocalPlatform, tmp_path: Path
) -> None:
    url = clean_platform.database_url("notifier")
    await migrate("notifier", url)
    names = [f"B{number:04}" for number in range(ALL)]
    async with HttpCarrier() as carrier:
        replicas = [notifier(clean_platform, carrier, tmp_path, number) for number in range(2)]
        for one in replicas:
            await asyncio.to_thread(one.start)
        for one in replicas:
            await asyncio.to_thread(one.wait_ready)
        await publish(clean_platform, [(borrower(n, f"+86138{i:08}"), f"b{i}") for i, n in enumerate(names)])
        permits: list[tuple[Message, str]] = [(allowed(n, f"A{n}", now=NOW), f"p{n}") for n in names]
        await publish(clean_platform, permits[:PERMITS])

        async def sending() -> bool:
            return len(carrier.requests) >= RATE_PER_SECOND

        await until(sending, "something is sent")
        await order_stop(clean_platform)
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            stopped_at = await instant_after_stop(connection)
            await publish(clean_platform, permits[PERMITS:])

            async def ended() -> bool:
                count: int = await connection.fetchval("SELECT count(*) FROM permit WHERE ended_at IS NOT NULL")
                return count == ALL

            await until(ended, "every permit has ended")
            counts = {
                (row["state"], row["reason"]): row["count"]
                for row in await connection.fetch("SELECT state, reason, count(*) FROM permit GROUP BY 1, 2")
            }
            last_claim = await connection.fetchval("SELECT max(claimed_at) FROM permit")
        finally:
            await connection.close()
        for one in replicas:
            await asyncio.to_thread(one.stop)
    assert set(counts) == {("made", None), ("not_made", "stopped")}
    assert counts[("made", None)] == len(carrier.requests)
    assert counts[("not_made", "stopped")] > LATE_PERMITS
    assert last_claim < stopped_at
