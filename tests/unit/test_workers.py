"""Tests at the same time: who shares what, and that nobody empties what another one stands on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from decorum_local.platform import DATABASE_VARIABLE, KAFKA_VARIABLE
from tests.workers import portion_of

ROOT = Path(__file__).parents[2]


def test_a_file_stays_together_and_so_do_all_end_to_end_tests() -> None:
    tests = (
        "tests/integration/test_topics.py::test_one",
        "tests/integration/test_topics.py::test_other[a::b]",
        "tests/unit/test_sizes.py::test_one",
        "tests/e2e/test_tour.py::test_one",
        "tests/e2e/test_restart_storm.py::test_one",
    )
    topics, of_topics, sizes, tour, storm = map(portion_of, tests)
    assert topics == of_topics
    assert tour == storm
    assert len({topics, sizes, tour}) == 3


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
