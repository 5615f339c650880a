"""Each metrics module lists its own metrics, with name, type, unit, labels and meaning, as they really are."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

import pytest
from prometheus_client.metrics import MetricWrapperBase

MODULES = (
    "shared.observability.metrics",
    "scheduler.metrics",
    "compliance_gate.metrics",
    "notifier.metrics",
    "ledger.metrics",
)
HEADING = ["name", "type", "unit", "labels", "meaning"]
PERSONAL = {"borrower", "borrower_id", "loan", "loan_id", "number", "name", "text", "attempt_id", "contact_point_id"}


def _listed(module: ModuleType) -> list[list[str]]:
    lines = (line for line in str(module.__doc__).splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("| ---")]


def _labels(cell: str) -> tuple[str, ...]:
    """The names of the labels; values that they may have stand in brackets."""
    return tuple(re.findall(r"[a-z_]+", re.sub(r"\([^)]*\)", "", cell)))


def metrics_of(module: ModuleType) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Type and labels of each metric, by the name under which Prometheus reads it."""
    found = {}
    for metric in vars(module).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = (family.type, tuple(metric._labelnames))
    return found


@pytest.mark.parametrize("name", MODULES)
def test_the_metrics_that_are_listed_are_those_that_there_are(name: str) -> None:
    module = importlib.import_module(name)
    heading, *rows = _listed(module)
    assert heading == HEADING
    assert all(unit and meaning for _, _, unit, _, meaning in rows)
    assert {row[0]: (row[1], _labels(row[3])) for row in rows} == metrics_of(module)
    assert not PERSONAL & {label for row in rows for label in _labels(row[3])}
