"""What can't be used stops a service at its start, with one text that says where and why, and no trace."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from decorum_local import LocalPlatform
from notifier.settings import SHIPPED_TEMPLATES
from scheduler.settings import SHIPPED_STRATEGIES

START_SECONDS_MAX = 60
KEY = base64.b64encode(bytes(32)).decode()
SECRETS = {
    "COMPLIANCE_GATE_NUMBER_HASH_KEY": KEY,
    "NOTIFIER_SEALING_KEY": KEY,
    "NOTIFIER_NUMBER_HASH_KEY": KEY,
    "NOTIFIER_WEBHOOK_SECRET": "sixteen characters and more",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Strategies and templates as they are shipped, each with one mistake."""
    strategies = shutil.copytree(SHIPPED_STRATEGIES, tmp_path / "strategies")
    low = strategies / "courteous-low.yaml"
    low.write_text(low.read_text().replace("grade: low", "grade: mild", 1))
    templates = shutil.copytree(SHIPPED_TEMPLATES, tmp_path / "templates")
    text = templates / "sms-overdue.yaml"
    text.write_text(text.read_text() + "fr: bonjour\n")
    return tmp_path


@pytest.mark.parametrize(
    ("package", "variable", "value", "said"),
    [
        ("scheduler", "SCHEDULER_STRATEGIES_FOLDER", "{folder}/strategies", "courteous-low.yaml:4: grade: "),
        ("scheduler", "SCHEDULER_STRATEGIES_FOLDER", "{folder}/nowhere", "nowhere"),
        ("notifier", "NOTIFIER_TEMPLATES_FOLDER", "{folder}/templates", "sms-overdue.yaml:"),
        ("compliance_gate", "COMPLIANCE_GATE_OVERLAY", "rude", "rude: there is no tenant overlay of this name"),
        ("ledger", "LEDGER_ALLOCATION_ORDER", "fees,fees,interest", "allocation order must name each of"),
        ("ledger", "DECORUM_CLOCK", "sundial", "DECORUM_CLOCK: must be one of system, shifted, virtual"),
    ],
)
def test_what_cannot_be_used_stops_the_start_with_where_and_why_and_no_trace(
    platform: LocalPlatform, folder: Path, package: str, variable: str, value: str, said: str
) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "uvicorn", f"{package}.app:app", "--port", "0"],
        env={**os.environ, **platform.environment(), **SECRETS, variable: value.format(folder=folder)},
        capture_output=True,
        text=True,
        timeout=START_SECONDS_MAX,
        check=False,
    )
    assert started.returncode != 0
    assert f"{package} doesn't start: " in started.stderr
    assert said in started.stderr
    assert "Traceback" not in started.stderr
