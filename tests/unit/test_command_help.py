"""`--help` of every command, as somebody reads it who has never used one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from shared.cli import build
from shared.commands import panels

ROOT = Path(__file__).parents[2]
PANELS = {value for name, value in vars(panels).items() if name.isupper()}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    else:
        for name, each in inner.items():
            yield from leaves(each, (*path, name))


COMMANDS = dict(leaves(typer.main.get_command(build())))
every_command = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def _prose_and_examples(path: tuple[str, ...]) -> tuple[list[str], list[str]]:
    prose, _, examples = (COMMANDS[path].help or "").partition("\b\n")
    return prose.splitlines(), examples.splitlines()


@every_command
def test_a_command_shows_how_it_is_used(path: tuple[str, ...]) -> None:
    _, examples = _prose_and_examples(path)
    assert any(example.startswith(" ".join(("decorum", *path))) for example in examples)


@every_command
def test_what_a_command_says_is_broken_only_between_sentences(path: tuple[str, ...]) -> None:
    # The terminal breaks lines where it must; a break of the source's inside a sentence would be shown too.
    prose, _ = _prose_and_examples(path)
    assert all(line.endswith((".", ";", ":")) for line in prose if line.strip())


@every_command
def test_help_cuts_no_word_in_a_narrow_terminal_and_names_no_folder_of_this_machine(path: tuple[str, ...]) -> None:
    narrow, wide = (
        CliRunner().invoke(build(), [*path, "--help"], env={"COLUMNS": columns}).stdout for columns in ("80", "300")
    )
    assert not re.search(r"\w…", narrow)
    assert str(ROOT) not in wide


def test_every_command_has_its_place_under_a_heading() -> None:
    shown = CliRunner().invoke(build(), ["--help"], env={"COLUMNS": "80"}).stdout
    assert set(re.findall(r"╭─ (.+?) ─", shown)) == {"Options", *PANELS}
    assert "decorum events example > events.jsonl" in shown
