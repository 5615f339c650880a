"""What commands accept, refuse and say, as far as no platform is needed for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifier.settings import SHIPPED_TEMPLATES
from scheduler.settings import SHIPPED_STRATEGIES
from shared.commands.times import local, utc, zone_named
from tests.commands import decorum
from tests.unit.test_command_help import COMMANDS

LATE_IMPORT = """
import os, signal, sys
from shared import entry
import importlib.abc

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
        return None

sys.meta_path.insert(0, Interrupting())
sys.argv = ["decorum", "--help"]
entry.main()
"""


@pytest.fixture(autouse=True)
def _no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DECORUM_CLOCK", "DECORUM_KAFKA_BOOTSTRAP_SERVERS", "DECORUM_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_ctrl_c_while_the_command_is_loaded_ends_it_without_a_word() -> None:
    run = subprocess.run([sys.executable, "-c", LATE_IMPORT], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_is_the_commands_own_again_once_it_is_loaded() -> None:
    code = (
        "import signal, sys\n"
        "from shared import cli, entry\n"
        "cli.build = lambda wanted: lambda: print(signal.getsignal(signal.SIGINT).__name__)\n"
        "entry.main()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr) == ("default_int_handler\n", "")


def test_the_script_of_an_installation_begins_with_what_ctrl_c_ends_quietly() -> None:
    script = (Path(sys.executable).parent / "decorum").read_text()
    assert "from shared.entry import main" in script


def test_examples_are_printed_and_checked_without_a_platform_at_the_real_instant(tmp_path: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    example = decorum("events", "example", "payment-received", "--borrower", "B-7")
    assert before <= datetime.fromisoformat(json.loads(example.out)["time"])
    checked = decorum("events", "publish", "--check", "-", given=decorum("events", "example").out.encode())
    assert (checked.code, checked.out) == (0, "9 good, 0 bad, nothing published (--check)\n")


def test_what_is_published_needs_a_platform() -> None:
    said = decorum("events", "publish", "-", given=decorum("events", "example").out.encode())
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("DECORUM_DATABASE_URL: is not set")


@pytest.mark.parametrize(
    "command",
    [
        ("events", "example", "--borrower"),
        ("stop", "--reason", "x", "--borrower"),
        ("contacts", "erase", "--yes", "--reason", "x"),
    ],
    ids=" ".join,
)
def test_what_can_be_no_id_is_refused_in_words(command: tuple[str, ...]) -> None:
    said = decorum(*command, "B 7")
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("an id is 1 to 96 letters, digits and . _ : - without a space")


@pytest.mark.parametrize(
    "command",
    [
        ("stop", "--all"),
        ("resume", "--all"),
        ("contacts", "erase", "B-7", "--yes"),
        ("dead-letters", "redrive", "--all"),
        ("gate", "held", "approve", "D-1"),
        ("gate", "held", "refuse", "D-1"),
    ],
    ids=" ".join,
)
def test_a_reason_without_a_word_is_none(command: tuple[str, ...]) -> None:
    assert decorum(*command, "--reason", " ") == decorum("stop", "--all", "--reason", "")
    assert decorum(*command, "--reason", " ").err == "--reason must say why"


def test_nothing_is_erased_where_nobody_can_be_asked() -> None:
    said = decorum("contacts", "erase", "B-7", "--reason", "x")
    assert (said.code, said.err) == (2, "nobody can be asked here: --yes erases without a question")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here to write to")
def test_a_full_disk_is_said_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "-c", "from shared.cli import main; main()", "events", "example"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr.startswith("decorum: what it says can't be written: No space left")
    assert "Traceback" not in run.stderr


def test_a_bar_is_drawn_for_a_person_alone(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(decorum("events", "example").out)
    assert decorum("events", "publish", "--check", str(file)).err == ""


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "Asia", ""])
@pytest.mark.parametrize(
    "command",
    [("case", "show", "B-7"), ("strategy", "path", "--amount-minor", "1", "--due-on", "2026-09-10")],
    ids=["case show", "strategy path"],
)
def test_a_zone_that_there_is_not_is_refused(command: tuple[str, ...], zone: str) -> None:
    said = decorum(*command, "--zone", zone)
    assert (said.code, said.err) == (2, f"--zone: {zone} is not an IANA zone")


def test_a_folder_that_cannot_be_made_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = decorum("up", "--folder", str(tmp_path / "file"))
    assert said.code == 2
    assert said.err.startswith(f"--folder: {tmp_path / 'file'} can't be made")


@pytest.mark.parametrize("command", [("topics", "check"), ("topics", "create"), ("stops",), ("db", "migrate")])
def test_a_command_that_needs_a_platform_says_so_as_its_siblings_do(command: tuple[str, ...], tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("DECORUM_")}
    run = subprocess.run(
        [sys.executable, "-c", "from shared.cli import main; main()", *command],
        cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("decorum: no platform runs in this folder")


def test_an_unknown_topic_or_service_is_refused_with_those_that_there_are() -> None:
    platform = {
        "DECORUM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DECORUM_DATABASE_URL": "postgresql+asyncpg://u@127.0.0.1:1/postgres",
    }
    said = decorum("dead-letters", "list", "--topic", "lender.loans", environment=platform)
    assert said.err.startswith("there is no topic lender.loans; there are borrower.replies.v1, contact.attempts.v1, ")
    said = decorum("db", "migrate", "--service", "billing", environment=platform)
    assert said.err == "there is no service billing; there are scheduler, compliance-gate, notifier, ledger"


def test_checks_of_strategies_and_templates_are_told_to_a_machine(tmp_path: Path) -> None:
    good = decorum("strategy", "check", str(SHIPPED_STRATEGIES), "--json")
    assert json.loads(good.out) == {
        "path": str(SHIPPED_STRATEGIES),
        "good": True,
        "what": "low is courteous-low, medium is courteous-medium, high is courteous-high",
    }
    (tmp_path / "x.yaml").write_text("strategy: x\n")
    bad = decorum("strategy", "check", str(tmp_path / "x.yaml"), "--json")
    assert bad.code == 1
    assert json.loads(bad.out)["good"] is False
    assert "x.yaml:1" in json.loads(bad.out)["mistake"]
    good = decorum("templates", "check", "--json")
    assert json.loads(good.out) == {"folder": str(SHIPPED_TEMPLATES), "good": True, "templates": 8, "languages": 2}
    bad = decorum("templates", "check", "--json", "--folder", str(tmp_path))
    assert bad.code == 1
    mistake = f"{tmp_path / 'disclosures.yaml'}: there is no such file"
    assert json.loads(bad.out) == {"folder": str(tmp_path), "good": False, "mistake": mistake}


def test_instants_are_written_in_one_way() -> None:
    instant = datetime(2026, 9, 16, 2, 0, 5, 999_999, tzinfo=UTC)
    assert utc(instant.astimezone(zone_named("Asia/Shanghai"))) == "2026-09-16T02:00:05Z"
    assert local(instant, zone_named("America/New_York")) == "2026-09-15 22:00:05"
    path = decorum("strategy", "path", "--amount-minor", "250000", "--due-on", "2026-09-10", "--json")
    assert json.loads(path.out)[0]["due_at"] == "2026-09-07T02:00:00Z"


def test_every_command_that_a_machine_may_read_has_json() -> None:
    without = {
        " ".join(path)
        for path, command in COMMANDS.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    # The first prints JSON itself, as do the next; the last two tell a person how a run goes.
    assert without == {"events example", "dead-letters show", "up", "demo"}


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_clock_that_is_not_the_systems_touches_no_server_elsewhere(command: str, tmp_path: Path) -> None:
    elsewhere = {
        "DECORUM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DECORUM_DATABASE_URL": "postgresql+asyncpg://u:hunter2@127.0.0.1:1/postgres",
    }
    there = tmp_path / "there"
    where = {"up": "--folder", "demo": "--out"}[command]
    said = decorum(command, where, str(there), environment=elsewhere)
    assert said.code == 2
    assert said.err.endswith(
        "is refused with servers that aren't the embedded ones: "
        "unset DECORUM_KAFKA_BOOTSTRAP_SERVERS and DECORUM_DATABASE_URL"
    )
    assert not there.exists()


def test_a_server_elsewhere_that_is_away_is_said_in_one_line_without_its_password(tmp_path: Path) -> None:
    elsewhere = {
        "DECORUM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DECORUM_DATABASE_URL": "postgresql+asyncpg://u:hunter2@127.0.0.1:1/postgres",
    }
    said = decorum("up", "--at", "now", "--folder", str(tmp_path), environment=elsewhere)
    assert (said.code, said.err) == (2, "PostgreSQL can't be reached: ConnectionRefusedError")
