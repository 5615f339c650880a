"""The README's tour, through the commands that it names, on a platform that `decorum up` started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "deploy" / "local" / "tour"
DECORUM = [sys.executable, "-c", "from shared.cli import main; main()"]
BORROWER = "TOUR-3"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("up")
    output = (folder / "output").open("wb")
    process = subprocess.Popen([*DECORUM, "up", "--folder", str(folder)], cwd=ROOT, stdout=output, stderr=output)
    try:
        addresses = folder / "environment"
        _wait(lambda: addresses.is_file() and addresses.stat().st_size > 0, process, seconds=120)
        lines = addresses.read_text().splitlines()
        yield {**os.environ, **dict(line.split("=", 1) for line in lines), "COLUMNS": "160"}
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=90) == 0, (folder / "output").read_text()[-2000:]
        output.close()
    assert not addresses.exists(), "a platform that has ended leaves no addresses behind"


def _wait(reached: Callable[[], Any], process: subprocess.Popen[bytes] | None = None, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert process is None or process.poll() is None, "the platform ended by itself"
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


def test_an_overdue_loan_becomes_a_contact_and_a_payment_ends_it(environment: dict[str, str]) -> None:
    assert "3 published" in _run(environment, "events", "publish", str(TOUR / "1-overdue.jsonl"))
    _wait(lambda: _messages(environment), seconds=30)
    (message,) = _messages(environment)
    assert "847" in message["request"]["text"]
    _wait(lambda: "contact-made" in " ".join(_kinds(environment)), seconds=20)

    decisions = _run(environment, "gate", "decisions", BORROWER)
    assert "allowed" in decisions.lower()

    _run(environment, "clock", "advance", "2m")
    _wait(lambda: "contact-progressed" in " ".join(_kinds(environment)), seconds=30)

    _run(environment, "events", "publish", str(TOUR / "2-payment.jsonl"))
    _wait(lambda: "payment-received" in " ".join(_kinds(environment)), seconds=20)
    _run(environment, "clock", "advance", "4d")
    time.sleep(3)
    assert len(_messages(environment)) == 1
    case = json.loads(_run(environment, "case", "show", BORROWER, "--json"))
    assert sum(case["loans"][0][f"overdue_{part}_minor"] for part in ("fees", "interest", "principal")) == 0


def test_bad_lines_are_named_and_nothing_is_published(environment: dict[str, str]) -> None:
    said = _run(environment, "events", "publish", str(TOUR / "3-bad.jsonl"), code=1)
    assert "3-bad.jsonl:1: schema_mismatch" in said
    assert "3-bad.jsonl:2: unsupported_version" in said
    assert "nothing published" in said


def test_a_stop_is_on_the_timeline_and_is_lifted(environment: dict[str, str]) -> None:
    _run(environment, "stop", "--borrower", BORROWER, "--reason", "trying it out")
    _wait(lambda: "stop-ordered" in " ".join(_kinds(environment)), seconds=20)
    _run(environment, "resume", "--borrower", BORROWER, "--reason", "tried it out")


def test_commands_say_in_one_line_what_is_wrong(environment: dict[str, str]) -> None:
    assert "exactly one of" in _run(environment, "stop", "--reason", "x", code=2)
    for form in ((), ("--json",)):
        assert "nothing is known" in _run(environment, "case", "show", "NOBODY", *form, code=1)
    assert "nothing was decided" in _run(environment, "gate", "decisions", "NOBODY", code=1)
