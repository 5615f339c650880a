"""The demo itself, small: real Kafka, real Postgres, the four services, virtual time."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from decorum_simulation.audit.run import audit
from decorum_simulation.demo.options import DemoOptions
from decorum_simulation.demo.run import DemoResult, Watcher, run_demo
from decorum_simulation.lender.accounts import COLUMNS

FILES = ("borrowers", "events", "loans", "decisions", "carrier", "inbound", "payments", "postings")
FIELDS = {
    "borrowers": "borrower_id loans zones region language numbers",
    "loans": "at borrower_id loan_id overdue_minor outstanding_minor currency closed",
    "decisions": "at decision_id attempt_id submission_number borrower_id borrower_sequence loans channel verdict "
    "rules policy_hash permit_expires_at next_legal_instant sentence_en sentence_zh",
    "inbound": "at id kind from text known_at",
    "payments": "at payment_id borrower_id loan_id amount_minor currency known_at",
    "postings": "at transaction_id kind payment_id account amount_minor currency borrower_id loan_id",
}


def _run(folder: Path, **changes: Any) -> DemoResult:
    options = {"borrowers": 80, "days": 6, "start": date(2026, 9, 22), "seed": 3, "tick": timedelta(hours=2)}
    return run_demo(DemoOptions(out=folder, **{**options, **changes}), Watcher(say=print, on_tick=lambda _: None))


def _rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one run over the mid-autumn break."""
    folder = tmp_path_factory.mktemp("demo")
    result = _run(folder)
    assert result.audit.violations == ()
    assert result.dead_letters == 0
    return folder


def test_a_run_leaves_every_file_with_exactly_its_fields_in_order(folder: Path) -> None:
    for name, fields in FIELDS.items():
        rows = _rows(folder, name)
        assert rows, name
        assert all(sorted(row) == sorted(fields.split()) for row in rows), name
    for name in FILES:
        instants = [str(row.get("at", row.get("time", ""))) for row in _rows(folder, name)]
        assert instants == sorted(instants), name
    kinds = Counter(row["kind"] for row in _rows(folder, "carrier"))
    assert kinds["request"] == kinds["accepted"] + kinds["rejected"]
    assert set(json.loads((folder / "run.json").read_text())) == {
        "seed", "virtual_start", "virtual_end", "packs", "overlay", "borrowers", "wall_seconds",
    }  # fmt: skip


def test_something_happened_and_nobody_at_home_in_china_was_contacted_in_the_break(folder: Path) -> None:
    requests = [row for row in _rows(folder, "carrier") if row["kind"] == "request"]
    breaks = [row for row in requests if "2026-09-24T16" <= row["at"] < "2026-09-27T16"]

    assert len(requests) > 50
    assert _rows(folder, "inbound")
    assert _rows(folder, "payments")
    assert not [row for row in breaks if row["to"].startswith("+86")]


def test_the_report_holds_everything_it_shows(folder: Path) -> None:
    page = (folder / "report.html").read_text()

    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert page.count("<svg") >= 6
    assert "no violation" in page


def test_the_same_seed_leaves_the_same_files(folder: Path, tmp_path: Path) -> None:
    _run(tmp_path)

    for name in FILES:
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (folder / f"{name}.jsonl").read_bytes(), name


def test_real_accounts_can_be_replayed(tmp_path: Path) -> None:
    path, rows = tmp_path / "accounts.csv", []
    for number in range(1, 61):
        bills = {f"bill_amt{month}": 1_000 * number + month for month in range(1, 7)}
        paid = {f"pay_amt{month}": 90 * number for month in range(1, 7)}
        rows.append({"limit_bal": 50_000, "pay_0": number % 3, **bills, **paid})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows([dict.fromkeys(COLUMNS, 0) | row for row in rows])

    result = _run(tmp_path, portfolio=path, limit=50, start=date(2026, 9, 20), days=4)

    assert result.audit.violations == ()
    assert audit(tmp_path).violations == ()
    assert json.loads((tmp_path / "run.json").read_text())["borrowers"] == 50
    assert [row for row in _rows(tmp_path, "carrier") if row["kind"] == "request"]
