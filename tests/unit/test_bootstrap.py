"""What a machine lacks is said in one line that tells how to get it, and nothing is made meanwhile."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).parents[2] / "deploy" / "local" / "bootstrap.sh"
TOOLS = ("sh", "dirname", "uname", "env", "cmp", "cp", "touch")
SUPPORTED = '*"(3, 11)"*) exit 0;;'
VERSION = '*print*) echo "3.12";;'
CANDIDATES = ("python3", "python3.11", "python3.12", "python3.13", "python3.14")


def _program(path: Path, *cases: str) -> None:
    """A Python that answers what it is asked with `-c` or `-m` by `cases`, and fails on everything else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/sh\ncase "$*" in\n' + "\n".join(cases) + "\n*) exit 1;;\nesac\n")
    path.chmod(0o755)


def _bootstrap(tree: Path, *cases: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a tree of its own, on a machine whose only Pythons are such ones."""
    script = tree / "deploy" / "local" / "bootstrap.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(BOOTSTRAP, script)
    programs = tree / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(str(shutil.which(tool)))
    for candidate in CANDIDATES:
        _program(programs / candidate, *cases)
    return subprocess.run(
        ["sh", str(script)], env={"PATH": str(programs)}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("cases", "how"),
    [
        ((), "python"),
        ((SUPPORTED, VERSION), "sudo apt-get install python3-venv || sudo apt-get install python3.12-venv"),
    ],
    ids=["no Python that is new enough", "a Python without venv"],
)
def test_what_is_missing_is_said_in_one_line_with_the_way_to_get_it(
    tmp_path: Path, cases: tuple[str, ...], how: str
) -> None:
    said = _bootstrap(tmp_path, *cases)
    assert (said.returncode, said.stdout) == (1, "")
    (line,) = said.stderr.splitlines()
    assert line.startswith("decorum: ")
    assert how in line
    assert not (tmp_path / ".venv").exists()


def test_an_environment_without_pip_is_said_in_one_line(tmp_path: Path) -> None:
    _program(tmp_path / ".venv" / "bin" / "python", VERSION)
    said = _bootstrap(tmp_path, SUPPORTED, VERSION, "*ensurepip*) exit 0;;")
    assert (said.returncode, said.stdout) == (1, "")
    (line,) = said.stderr.splitlines()
    assert line == (
        "decorum: pip is missing in .venv: sudo apt-get install python3-venv python3-pip, then remove .venv"
    )
    assert not (tmp_path / ".venv" / ".installed").exists()


def test_a_python_that_is_named_is_taken_before_all_others(tmp_path: Path) -> None:
    own = tmp_path / "own" / "python"
    _program(own, SUPPORTED, VERSION)
    script = _bootstrap(tmp_path / "tree").args[1]
    environment = {"PATH": str(tmp_path / "tree" / "bin"), "PYTHON": str(own)}
    said = subprocess.run(["sh", script], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert said.stderr.startswith(f"decorum: {own} cannot make virtual environments")
