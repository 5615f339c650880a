"""What the documents name is there: files, tests, metrics; and a runbook has its four headings."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.contract.test_metrics_tables import MODULES, metrics_of

ROOT = Path(__file__).parents[2]
PLACES = ("*.md", "services/*/*.md", "shared/*.md", "deploy/**/*.md")
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for place in PLACES for path in ROOT.glob(place))
RUNBOOKS = sorted(name for name in DOCUMENTS if name.startswith("deploy/runbooks/"))
PACKAGES = {"decorum_local", "decorum_simulation"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_or_folder_of_the_tree(document: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / document).read_text())
    assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_and_metric_that_is_named_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    tests = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"`(test_[a-z_0-9]+)`", text)) <= tests
    metrics = {metric for name in MODULES for metric in metrics_of(importlib.import_module(name))}
    assert set(re.findall(r"\bdecorum_[a-z_]+", text)) - PACKAGES <= metrics


@pytest.mark.parametrize("runbook", RUNBOOKS)
def test_a_runbook_has_its_four_headings_and_is_found_from_the_readme(runbook: str) -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / runbook).read_text(), re.MULTILINE)
    assert headings == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert f"]({runbook})" in (ROOT / "README.md").read_text()
