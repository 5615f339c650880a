"""Every setting stands in the README of its service, with its default and what the code says of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compliance_gate.settings import GateSettings
from ledger.settings import LedgerSettings
from notifier.settings import NotifierSettings
from scheduler.settings import SchedulerSettings
from shared.service import PlatformSettings
from shared.settings_tables import BEGIN, END, settings_of, table, with_table

ROOT = Path(__file__).parents[2]
SETTINGS: list[tuple[str, str, type[Any]]] = [
    ("services/scheduler", "SCHEDULER_", SchedulerSettings),
    ("services/compliance-gate", "COMPLIANCE_GATE_", GateSettings),
    ("services/notifier", "NOTIFIER_", NotifierSettings),
    ("services/ledger", "LEDGER_", LedgerSettings),
    ("shared", "DECORUM_", PlatformSettings),
]


@pytest.mark.parametrize(("folder", "prefix", "settings_type"), SETTINGS, ids=[prefix for _, prefix, _ in SETTINGS])
def test_a_readme_has_a_row_for_each_setting_and_for_no_other(
    folder: str, prefix: str, settings_type: type[Any]
) -> None:
    _, _, rest = (ROOT / folder / "README.md").read_text().partition(BEGIN)
    rows = [line.split(" | ") for line in rest.partition(END)[0].splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == [
        f"| `{prefix}{field.name.upper()}`" for field in dataclasses.fields(settings_type)
    ]
    assert all(len(row) == 3 and row[2].strip(" |") for row in rows)


@dataclass(frozen=True)
class Inherited:
    first: str
    """What it is, on
    two lines."""


@dataclass(frozen=True)
class ExampleSettings(Inherited):
    folder: Path = ROOT / "shared"
    """A folder."""
    names: tuple[str, ...] = ("a", "b")
    """This | that."""
    wait_seconds: float = 30.0
    """A time."""
    url: str | None = None
    """An address."""


@dataclass(frozen=True)
class SilentSettings:
    spoken: int = 1
    """Said."""
    silent: int = 2


def test_a_row_has_the_default_as_it_would_be_set_and_the_string_below_the_field() -> None:
    assert table(ExampleSettings, "X_", root=ROOT).splitlines()[2:] == [
        "| `X_FIRST` | **required** | What it is, on two lines. |",
        "| `X_FOLDER` | `shared` | A folder. |",
        "| `X_NAMES` | `a,b` | This \\| that. |",
        "| `X_WAIT_SECONDS` | `30` | A time. |",
        "| `X_URL` | – | An address. |",
    ]


def test_a_setting_that_nobody_explained_is_refused() -> None:
    with pytest.raises(ValueError, match="SilentSettings doesn't say what these mean: silent"):
        table(SilentSettings, "X_", root=ROOT)


def test_the_table_takes_the_place_of_the_old_one_and_of_nothing_else() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    made = with_table(text, ExampleSettings, "X_", root=ROOT)
    assert made.startswith(f"before\n{BEGIN}\n| variable")
    assert made.endswith(f"A time. |\n| `X_URL` | – | An address. |\n{END}\nafter\n")
    assert with_table(made, ExampleSettings, "X_", root=ROOT) == made
    with pytest.raises(ValueError, match="has no place"):
        with_table("no marks", ExampleSettings, "X_", root=ROOT)


@pytest.mark.parametrize("settings_type", [each for _, _, each in SETTINGS])
def test_the_settings_of_a_module_are_found_by_their_name(settings_type: type[Any]) -> None:
    assert settings_of(settings_type.__module__) is settings_type
