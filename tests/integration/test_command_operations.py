"""`decorum clock` and `db migrate`: what they order is done and said plainly; how every command refuses."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from decorum_local import LocalPlatform
from decorum_local.loopback import free_port
from decorum_local.platform import SERVICE_DATABASES
from tests.toy_world import ToyWorld


async def test_the_clock_moves_on_by_a_span_and_never_back(world: ToyWorld) -> None:
    shown = await world.decorum("clock", "show")
    assert shown.out.startswith("2026-09-16T02:0")
    assert shown.out.endswith("Z (shifted clock)\n")
    told = json.loads((await world.decorum("clock", "show", "--json")).out)
    assert told["clock"] == "shifted"
    assert told["now"].startswith("2026-09-16T02:0")
    assert told["now"].endswith("Z")
    for span, instant in (("90s", "02:01"), ("2h", "04:01"), ("1d", "04:01")):
        assert instant in (await world.decorum("clock", "advance", span)).out
    for span in ("-1h", "1", "h", "1y", "1h30m"):
        refused = await world.decorum("clock", "advance", "--", span)
        assert refused.err == "a span is a number and s, m, h, d or w: 90s, 30m, 2h, 1d"
    moved = json.loads((await world.decorum("clock", "advance", "1h", "--json")).out)
    assert moved["now"].startswith("2026-09-17T05:0")
    assert "2026-09-17" in (await world.decorum("clock", "show")).out


async def test_the_systems_own_clock_cannot_be_moved(world: ToyWorld) -> None:
    refused = await world.decorum("clock", "advance", "1h", DECORUM_CLOCK="system")
    assert refused.err.startswith("this platform runs on the system's time")


@pytest.mark.parametrize("order", [("show",), ("advance", "1h")])
async def test_the_clock_of_a_platform_that_has_ended_is_not_told_as_if_it_ran(
    world: ToyWorld, order: tuple[str, ...]
) -> None:
    gone = f"127.0.0.1:{free_port()}"
    refused = await world.decorum("clock", *order, DECORUM_KAFKA_BOOTSTRAP_SERVERS=gone)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"nothing answers at {gone}: the platform whose clock this was has ended")
    away_and_there = f"{gone},{world.bootstrap_servers}"
    assert (await world.decorum("clock", *order, DECORUM_KAFKA_BOOTSTRAP_SERVERS=away_and_there)).code == 0


async def test_a_decision_is_explained_at_the_instant_of_the_platform_that_runs_here(world: ToyWorld) -> None:
    explained = json.loads((await world.decorum("gate", "explain", "--json")).out)
    assert explained["at"].startswith("2026-09-16T02:0")
    gone = f"127.0.0.1:{free_port()}"
    before = datetime.now(UTC)
    without = await world.decorum("gate", "explain", "--json", DECORUM_KAFKA_BOOTSTRAP_SERVERS=gone)
    assert datetime.fromisoformat(json.loads(without.out)["at"]) >= before


async def test_databases_are_migrated_from_empty_and_again_without_harm(
    platform: LocalPlatform, world: ToyWorld
) -> None:
    platform.drop_databases(SERVICE_DATABASES)
    platform.create_databases(SERVICE_DATABASES)
    for _ in range(2):
        said = await world.decorum("db", "migrate")
        assert said.out.splitlines() == [
            f"{service}: at its newest revision" for service in ("scheduler", "compliance-gate", "notifier", "ledger")
        ]
    one = await world.decorum("db", "migrate", "--service", "compliance-gate")
    assert one.out == "compliance-gate: at its newest revision\n"
    told = await world.decorum("db", "migrate", "--service", "ledger", "--json")
    assert json.loads(told.out) == {"service": "ledger", "at_newest_revision": True}


async def test_a_database_that_cannot_be_migrated_is_named(platform: LocalPlatform, world: ToyWorld) -> None:
    assert (await world.decorum("db", "migrate", "--service", "billing")).err.startswith("there is no service billing;")
    away = await world.decorum("db", "migrate", DECORUM_DATABASE_URL="postgresql+asyncpg://u@127.0.0.1:1/postgres")
    assert away.err == "the database server can't be reached"
    platform.drop_databases(["ledger"])
    try:
        missing = await world.decorum("db", "migrate", "--service", "ledger")
        assert missing.err == 'the database ledger can\'t be migrated: database "ledger" does not exist'
    finally:
        platform.create_databases(["ledger"])


def test_what_a_person_can_mend_is_said_in_one_line_without_a_trace(tmp_path: Path) -> None:
    run = subprocess.run(
        [str(Path(sys.executable).parent / "decorum"), "stop", "--all", "--reason", "x"],
        env={
            "DECORUM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "DECORUM_DATABASE_URL": "postgresql+asyncpg://u:hunter2@127.0.0.1:1/postgres",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (2, "", "decorum: the Kafka broker can't be reached\n")


def test_a_command_without_a_platform_says_how_to_get_one(tmp_path: Path) -> None:
    run = subprocess.run(
        [str(Path(sys.executable).parent / "decorum"), "clock", "show"],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stderr.startswith("decorum: no platform runs in this folder: start one with `decorum up`")
