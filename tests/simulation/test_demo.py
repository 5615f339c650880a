"""The demo itself, small: real Kafka, real Postgres, the four services, virtual time."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from decorum_simulation.audit.run import audit
from decorum_simulation.conditions import Conditions
from decorum_simulation.demo.options import DemoOptions
from decorum_simulation.demo.run import DemoResult, Watcher, run_demo
from decorum_simulation.lender.accounts import COLUMNS
from decorum_simulation.report.figures import read_figures

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


ROUGH = Conditions(slow_share=1.0, down_share=0.15, meanwhile_share=1.0, swallowed_share=0.04, family_share=0.2)
"""So that a small run has everything that a large one has."""


def _run(folder: Path, **changes: Any) -> DemoResult:
    options = {
        "conditions": ROUGH,
        "borrowers": 120,
        "days": 6,
        "start": date(2026, 9, 22),
        "seed": 3,
        "tick": timedelta(hours=2),
    }
    return run_demo(DemoOptions(out=folder, **{**options, **changes}), Watcher(say=print, on_tick=lambda _: None))


def _rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


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
    assert 0 < kinds["request"] - kinds["accepted"] - kinds["rejected"] < kinds["request"] / 10
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


def test_reach_meets_restraint_permits_are_revoked_and_run_out_attempts_denied_and_outcomes_unknown(
    folder: Path,
) -> None:
    figures = read_figures(folder)

    assert figures.verdicts["denied"] > 0
    assert figures.verdicts["revoked"] > 0
    assert sum(figures.revoked_by.values()) == figures.verdicts["revoked"]
    assert figures.unused_by["permit_expired"] > 0
    assert figures.unused_by["revoked"] == figures.verdicts["revoked"]
    assert figures.unknown > 0
    assert figures.shared_numbers > 0


def test_no_permit_that_was_revoked_was_used(folder: Path) -> None:
    requests = {row["attempt_id"]: row["at"] for row in _rows(folder, "carrier") if row["kind"] == "request"}
    revoked = [row for row in _rows(folder, "decisions") if row["verdict"] == "revoked"]

    assert revoked
    assert all(requests.get(row["attempt_id"], "9") > row["at"] for row in revoked)


def test_what_the_carrier_swallowed_is_unknown_and_asked_for_once(folder: Path) -> None:
    rows = _rows(folder, "carrier")
    answered = {row["attempt_id"] for row in rows if row["kind"] in ("accepted", "rejected")}
    swallowed = [row["attempt_id"] for row in rows if row["attempt_id"] not in answered]
    unknown = [e["data"]["attempt_id"] for e in _rows(folder, "events") if ".contact-unknown." in e["type"]]

    assert swallowed
    assert sorted(swallowed) == sorted(unknown)


def test_what_one_asks_for_a_number_denies_it_to_everybody_who_has_it(folder: Path) -> None:
    holders: dict[str, set[str]] = {}
    for row in _rows(folder, "borrowers"):
        for number in row["numbers"]:
            holders.setdefault(number, set()).add(row["borrower_id"])
    together = set().union(*(people for people in holders.values() if len(people) > 1))
    refused = "courteous.opt-out"
    denied = {
        row["borrower_id"]
        for row in _rows(folder, "decisions")
        if row["verdict"] == "denied" and {"rule_id": refused, "result": "blocked"} in row["rules"]
    }

    assert denied
    assert denied <= together


def test_keys_are_pressed_during_the_call_and_known_at_the_tick_that_tells_of_it(folder: Path) -> None:
    pressed = [row for row in _rows(folder, "inbound") if row["kind"] == "keypress"]
    answered = [_at(row["at"]) for row in _rows(folder, "carrier") if row["kind"] == "answered"]

    assert pressed
    for row in pressed:
        assert _at(row["known_at"]) - _at(row["at"]) < timedelta(hours=2)
        assert any(timedelta() < _at(row["at"]) - picked_up < timedelta(minutes=1) for picked_up in answered)


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
