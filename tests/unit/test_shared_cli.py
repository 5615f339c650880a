from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.cli import build, use_running_platform

KAFKA = "DECORUM_KAFKA_BOOTSTRAP_SERVERS"


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KAFKA, "")
    monkeypatch.delenv(KAFKA)


def _addresses(folder: Path) -> Path:
    path = folder / "environment"
    path.write_text(f"{KAFKA}=127.0.0.1:9\n")
    return path


def test_a_command_works_on_what_runs_in_this_folder(tmp_path: Path) -> None:
    use_running_platform("case", _addresses(tmp_path))

    assert os.environ[KAFKA] == "127.0.0.1:9"


@pytest.mark.parametrize("wanted", ["demo", "up"])
def test_what_starts_its_own_servers_never_uses_those_that_run_or_were_killed_here(wanted: str, tmp_path: Path) -> None:
    use_running_platform(wanted, _addresses(tmp_path))

    assert KAFKA not in os.environ


@pytest.mark.parametrize(
    ("command", "usage"), [("up", "[OPTIONS]"), ("demo", "[OPTIONS]"), ("audit", "[OPTIONS] [folder]")]
)
def test_a_command_that_has_no_others_below_it_is_a_plain_one(command: str, usage: str) -> None:
    shown = CliRunner().invoke(build(), [command, "--help"], env={"COLUMNS": "120"}).stdout

    assert f"{command} {usage} " in shown
    assert "COMMAND" not in shown
