"""Tests at the same time have servers of their own: nobody empties what another one stands on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from decorum_local.platform import DATABASE_VARIABLE, KAFKA_VARIABLE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("variable", [KAFKA_VARIABLE, DATABASE_VARIABLE])
def test_two_workers_are_refused_on_servers_that_somebody_named(variable: str) -> None:
    arguments = ("-m", "pytest", "-n", "2", "--collect-only", "tests/unit/test_sizes.py")
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, variable: "named"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"on the servers of {variable}" in run.stderr
