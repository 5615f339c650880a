"""The README's tour, command by command as it stands there, on a platform that `decorum up` started."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from decorum_local import Command, Supervisor
from decorum_local.stack import SERVICES
from decorum_local.supervisor import ChildProcess

ROOT = Path(__file__).parents[2]
DECORUM = [sys.executable, "-c", "from shared.cli import main; main()"]
BORROWER = "TOUR-3"
PERSONAL = ("林小满", "林小曼", "13800138003", "13800138004")
"""The names and numbers in the tour's events."""


def _tour() -> dict[int, list[list[str]]]:
    """The words of each `decorum` command of the README's tour, by step."""
    block = (ROOT / "README.md").read_text().split("alias decorum=", 1)[1].split("```", 1)[0]
    steps: dict[int, list[list[str]]] = {}
    for line in block.splitlines():
        heading = re.match(r"# (\d+)\. ", line)
        if heading:
            steps[int(heading[1])] = []
        elif line.startswith("decorum "):
            steps[max(steps)].append(shlex.split(line)[1:])
    return steps


TOUR = _tour()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("up")
    supervisor = Supervisor(tmp_path_factory.mktemp("supervisor"))
    process = supervisor.start(
        Command(
            name="decorum up",
            arguments=[*DECORUM, "up", "--folder", str(folder)],
            environment=os.environ,
            folder=ROOT,
            log_path=folder / "output",
            abandon_signal=signal.SIGINT,
        )
    )
    try:
        addresses = folder / "environment"
        _wait(lambda: addresses.is_file() and addresses.stat().st_size > 0, process, seconds=120)
        lines = addresses.read_text().splitlines()
        yield {**os.environ, **dict(line.split("=", 1) for line in lines), "COLUMNS": "160"}
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout_seconds=90) == 0, process.log_tail()
        supervisor.close()
    assert not addresses.exists(), "a platform that has ended leaves no addresses behind"


def _wait(reached: Callable[[], Any], process: ChildProcess | None = None, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert process is None or process.is_running(), "the platform ended by itself"
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.25)


def _run(environment: dict[str, str], *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [*DECORUM, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def _kinds(environment: dict[str, str]) -> list[str]:
    case = json.loads(_run(environment, "case", "show", BORROWER, "--json"))
    return [event["kind"] for event in case["events"]]


def _messages(environment: dict[str, str]) -> list[dict[str, Any]]:
    address = f"{environment['NOTIFIER_SMS_URL']}/simulation/messages?to=%2B8613800138003"
    with urllib.request.urlopen(address, timeout=5) as answer:
        messages: list[dict[str, Any]] = json.load(answer)
        return messages


def _step(environment: dict[str, str], number: int, command: int, *, code: int = 0) -> str:
    """Run one command of a step, in the folder of the platform where it writes or reads a file of one's own."""
    words = TOUR[number][command]
    own = Path(environment["CARRIER_LOG"]).with_name("events.jsonl")
    words = [str(own) if word == own.name else word for word in words]
    if ">" not in words:
        return _run(environment, *words, code=code)
    said = _run(environment, *words[: words.index(">")], code=code)
    own.write_text(said)
    return said


def test_the_tour_has_nine_steps_and_none_is_left_out_here() -> None:
    assert {step: len(commands) for step, commands in TOUR.items()} == {
        1: 1, 2: 1, 3: 1, 4: 2, 5: 3, 6: 1, 7: 3, 8: 3, 9: 3
    }  # fmt: skip


def test_steps_1_to_5_an_overdue_loan_becomes_a_contact_and_a_payment_ends_it(environment: dict[str, str]) -> None:
    assert "3 published" in _step(environment, 1, 0)
    _wait(lambda: _messages(environment), seconds=60)
    (message,) = _messages(environment)
    assert "847" in message["request"]["text"]
    _wait(lambda: "contact-made" in " ".join(_kinds(environment)), seconds=60)
    assert BORROWER in _step(environment, 2, 0)
    assert "allowed" in _step(environment, 3, 0).lower()

    _step(environment, 4, 0)
    _wait(lambda: "contact-progressed" in " ".join(_kinds(environment)), seconds=60)
    assert BORROWER in _step(environment, 4, 1)

    assert "1 published" in _step(environment, 5, 0)
    _wait(lambda: "payment-received" in " ".join(_kinds(environment)), seconds=60)
    assert "revoked" not in " ".join(_kinds(environment)), "the contact was made: no permit is open"
    _step(environment, 5, 1)
    time.sleep(3)
    assert len(_messages(environment)) == 1
    assert BORROWER in _step(environment, 5, 2)
    case = json.loads(_run(environment, "case", "show", BORROWER, "--json"))
    assert sum(case["loans"][0][f"overdue_{part}_minor"] for part in ("fees", "interest", "principal")) == 0


def test_step_6_a_call_on_a_sunday_evening_is_put_off(environment: dict[str, str]) -> None:
    assert "DEFERRED" in _step(environment, 6, 0)
    now = _run(environment, "clock", "show")
    assert json.loads(_run(environment, "gate", "explain", "--json"))["at"][:13] == now[:13]


def test_step_7_bad_lines_are_named_and_nothing_is_published(environment: dict[str, str]) -> None:
    said = _step(environment, 7, 0, code=1)
    assert "3-bad.jsonl:1: schema_mismatch" in said
    assert "3-bad.jsonl:2: unsupported_version" in said
    assert "nothing published" in said
    assert BORROWER not in _step(environment, 7, 1)
    _step(environment, 7, 2)


def test_step_8_a_stop_of_everything_is_listed_and_lifted(environment: dict[str, str]) -> None:
    assert "stopped" in _step(environment, 8, 0)
    _wait(lambda: "trying it out" in _step(environment, 8, 1), seconds=60)
    assert "resumed" in _step(environment, 8, 2)
    _wait(lambda: "nothing is stopped" in _step(environment, 8, 1), seconds=60)


def test_step_9_what_a_service_refused_is_listed_and_comes_back(environment: dict[str, str]) -> None:
    assert "1 published" in _step(environment, 9, 0)
    _wait(lambda: "id_reused_with_other_body" in _step(environment, 9, 1), seconds=60)
    time.sleep(1)
    assert "driven again" in _step(environment, 9, 2)
    _wait(lambda: "driven again 1 times" in _step(environment, 9, 1), seconds=60)
    listed = _step(environment, 9, 1)
    assert not [text for text in PERSONAL if text in listed]


def test_a_stop_of_a_borrower_is_on_the_timeline_and_is_lifted(environment: dict[str, str]) -> None:
    _run(environment, "stop", "--borrower", BORROWER, "--reason", "trying it out")
    _wait(lambda: "stop-ordered" in " ".join(_kinds(environment)), seconds=60)
    _run(environment, "resume", "--borrower", BORROWER, "--reason", "tried it out")


def test_no_log_of_a_service_holds_the_borrowers_name_or_number(environment: dict[str, str]) -> None:
    folder = Path(environment["CARRIER_LOG"]).with_name("logs")
    assert not list(folder.glob("carrier.jsonl")), "what has numbers in it lies elsewhere"
    for service in SERVICES:
        (log,) = folder.glob(f"{service}-*.log")
        written = log.read_text()
        assert written.strip(), f"{service} wrote no log: nothing is shown by it"
        escaped = [json.dumps(text).strip('"') for text in PERSONAL]
        assert not [text for text in (*PERSONAL, *escaped) if text in written], service


def test_commands_say_in_one_line_what_is_wrong(environment: dict[str, str]) -> None:
    assert "exactly one of" in _run(environment, "stop", "--reason", "x", code=2)
    for form in ((), ("--json",)):
        assert "nothing is known" in _run(environment, "case", "show", "NOBODY", *form, code=1)
    assert "nothing was decided" in _run(environment, "gate", "decisions", "NOBODY", code=1)
