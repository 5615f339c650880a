"""`decorum up`: servers that the environment names, real time, an end that is no success."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest

from decorum_local import Command, LocalPlatform, ServerError
from decorum_local.platform import DATABASE_VARIABLE, KAFKA_VARIABLE
from decorum_local.stack import SERVICES
from decorum_local.up import until_interrupted

DECORUM = [sys.executable, "-c", "from shared.cli import main; main()"]


def _get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=5) as answer:
        return str(answer.read().decode())


@pytest.fixture
def elsewhere(platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The environment of somebody whose servers are not the embedded ones."""
    named = platform.environment()
    with monkeypatch.context() as patch:
        for variable, value in named.items():
            patch.setenv(variable, value)
        yield named


async def test_servers_that_the_environment_names_are_used_and_none_is_started(
    platform: LocalPlatform, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    name = f"elsewhere_{os.getpid()}"
    with LocalPlatform(tmp_path) as other:
        assert not other.is_embedded
        assert other.environment().items() <= elsewhere.items()
        for embedded in ("kafka", "postgres"):
            with pytest.raises(ServerError, match="there is no embedded"):
                getattr(other, embedded)
            assert not (tmp_path / embedded).exists()
        connection = await asyncpg.connect(other.database_url(name).replace("+asyncpg", ""))
        try:
            there = await connection.fetchval("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
            assert Path(there).is_relative_to(platform.folder)
        finally:
            await connection.close()
        other.drop_databases([name])


def test_an_embedded_server_that_ends_by_itself_ends_what_stands_on_it(
    platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(KAFKA_VARIABLE, platform.kafka_bootstrap_servers)
    assert {server.name for server in platform.servers} >= {"Kafka broker 0", "PostgreSQL"}
    with LocalPlatform(tmp_path) as other:
        (postgres,) = other.servers
        postgres.kill()
        with pytest.raises(ServerError, match=r"PostgreSQL ended by itself; see .*\.log"):
            until_interrupted(other.servers)


def test_up_at_real_time_works_on_named_servers_and_a_service_that_ends_by_itself_ends_it_without_success(
    clean_platform: LocalPlatform, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    output, addresses = tmp_path / "output", tmp_path / "environment"
    process = clean_platform.supervisor.start(
        Command(
            name="decorum up",
            arguments=[*DECORUM, "up", "--at", "now", "--folder", str(tmp_path)],
            environment={**os.environ, "COLUMNS": "160"},
            log_path=output,
            abandon_signal=signal.SIGINT,
        )
    )
    try:
        deadline = time.monotonic() + 120
        while "Ctrl-C ends it" not in output.read_text():
            assert process.is_running(), output.read_text()[-2000:]
            assert time.monotonic() < deadline, "it did not come up in time"
            time.sleep(0.1)
        told = dict(line.split("=", 1) for line in addresses.read_text().splitlines())
        assert {name: told[name] for name in (KAFKA_VARIABLE, DATABASE_VARIABLE)}.items() <= elsewhere.items()
        shown = subprocess.run(
            [*DECORUM, "clock", "show", "--json"],
            env={**os.environ, **told},
            capture_output=True,
            check=True,
            timeout=60,
        )
        now = datetime.fromisoformat(json.loads(shown.stdout)["now"])
        assert abs(datetime.now(UTC) - now) < timedelta(minutes=5)
        assert "real time" in output.read_text()
        metrics_addresses = dict(re.findall(r"(\S+)-0 .* (http://\S+)/metrics", output.read_text()))
        assert set(metrics_addresses) == set(SERVICES)
        for service, address in metrics_addresses.items():
            assert json.loads(_get(f"{address}/livez")) == {"alive": True, "reason": None}
            assert json.loads(_get(f"{address}/readyz")) == {"ready": True, "mode": "live", "reasons": {}}
            group = f'decorum_consumer_fused_partitions{{group="{service}"}} 0.0'
            assert group in _get(f"{address}/metrics").splitlines()

        (notifier,) = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "notifier.app:app" in child.cmdline()
        ]
        notifier.kill()
        assert process.wait(timeout_seconds=90) == 2
        assert "decorum: notifier-0 ended by itself; see " in output.read_text()
    finally:
        process.stop(timeout_seconds=90)
    assert not addresses.exists()
