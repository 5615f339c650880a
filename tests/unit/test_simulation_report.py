from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from decorum_simulation.audit.run import audit
from decorum_simulation.demo.console import summary_table
from decorum_simulation.report.figures import calendar_note, money_text, read_figures
from decorum_simulation.report.page import write_report
from decorum_simulation.report.timeline import chosen_borrower, entries_of
from tests.unit.audit_cases import Case, at, good_case

VOID = {"meta", "br", "img", "link", "input", "hr"}


class _Balance(HTMLParser):
    """Every element that begins also ends, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


def _full_case() -> Case:
    """The good case, with submissions as the report reads them."""
    case = good_case()
    for event in case.events:
        if event["type"] == "x.attempt-submitted.v1":
            event["data"] |= {"currency": "CNY", "risk_grade": "low"}
    return case


def _submit_fully(folder: Path) -> Path:
    case = _full_case()
    case.event(
        "promise-opened", at("2026-09-16 11:00"), promise_id="q1", borrower_id="B1", promised_minor=100_000,
        currency="CNY", promised_on="2026-09-17",
    )  # fmt: skip
    case.event("promise-kept", at("2026-09-18 00:00"), promise_id="q1", borrower_id="B1")
    return case.write(folder)


def test_figures_are_counted_from_the_files(tmp_path: Path) -> None:
    figures = read_figures(_submit_fully(tmp_path))

    assert (figures.sent["sms"], figures.sent["voice"], figures.delivered, figures.conversations) == (3, 1, 3, 0)
    assert (figures.promises["opened"], figures.promises["kept"]) == (1, 1)
    assert sum(figures.recovered["CNY"].values()) == 60_000
    assert figures.hours[("US", 3, 10)] == 1
    assert figures.hours[("CN", 6, 19)] == 1
    assert list(figures.overdue["CNY"].values())[:3] == [120_000, 120_000, 60_000]


def test_a_promise_counts_by_what_was_said_of_it_last_and_not_at_all_where_nothing_was_due(tmp_path: Path) -> None:
    case = _full_case()
    said = (("q1", "opened"), ("q1", "broken"), ("q1", "kept"), ("q2", "opened"), ("q2", "voided"), ("q3", "opened"))
    for hour, (promise_id, state) in enumerate(said, start=10):
        case.event(f"promise-{state}", at(f"2026-09-16 {hour}:00"), promise_id=promise_id, borrower_id="B1")
    promises = read_figures(case.write(tmp_path)).promises
    assert (promises["opened"], promises["kept"], promises["broken"]) == (2, 1, 0)


def test_refusals_are_counted_by_the_rules_that_decided_and_unused_permits_by_why(tmp_path: Path) -> None:
    case = _full_case()
    refused = {"rule_id": "cn.refused-medium", "result": "blocked"}
    closed = {"rule_id": "courteous.hours", "result": "deferred"}
    case.decisions[0] |= {"verdict": "denied", "rules": [refused, closed]}
    case.decisions[1] |= {"verdict": "deferred", "rules": [closed, {"rule_id": "cn.sensitive", "result": "held"}]}
    case.decisions[2] |= {"verdict": "held", "rules": [{"rule_id": "cn.sensitive", "result": "held"}]}
    case.event("permit-revoked", at("2026-09-21 11:00"), reason="payment", attempt_ids=["a1", "a2"])
    case.event("contact-not-made", at("2026-09-21 11:00"), attempt_id="a1", submission_number=1, reason="revoked")
    case.event("contact-unknown", at("2026-09-21 11:00"), attempt_id="a2", submission_number=1)
    figures = read_figures(case.write(tmp_path))

    assert {verdict: dict(rules) for verdict, rules in figures.by_rule.items()} == {
        "denied": {"cn.refused-medium": 1},
        "deferred": {"courteous.hours": 1},
        "held": {"cn.sensitive": 1},
    }
    assert (figures.revoked_by, figures.unused_by, figures.unknown) == ({"payment": 2}, {"revoked": 1}, 1)


def test_a_contact_on_a_shared_number_is_counted_and_told_for_the_one_it_was_for(tmp_path: Path) -> None:
    case = _full_case()
    case.borrowers.append({**case.borrowers[0], "borrower_id": "B0", "region": "US-NY", "loans": []})
    case.borrowers.append({**case.borrowers[0], "borrower_id": "B3", "region": "US-NY", "loans": []})
    figures = read_figures(case.write(tmp_path))
    other = figures.evidence.borrowers["B3"]

    assert figures.shared_numbers == 1
    assert {country for country, _, _ in figures.hours if country == "CN"}
    assert sum(n for (country, _, _), n in figures.hours.items() if country == "US") == 1
    assert [e.title for e in entries_of(figures.evidence, other)] == ["somebody with this number wrote"]


@pytest.mark.parametrize(
    ("days", "title"), [(1, "A day of a lender"), (3, "3 days of a lender"), (30, "A month of a lender")]
)
def test_the_title_says_how_long_it_was(days: int, title: str, tmp_path: Path) -> None:
    folder = _submit_fully(tmp_path)
    run = json.loads((folder / "run.json").read_text())
    run["virtual_end"] = (datetime.fromisoformat(run["virtual_start"]) + timedelta(days=days)).isoformat()
    (folder / "run.json").write_text(json.dumps(run))

    assert summary_table(read_figures(folder), audit(folder)).title == title


def test_a_run_past_the_last_announced_holidays_says_so_from_which_day_on() -> None:
    dates = [date(2026, 12, 30) + timedelta(days=offset) for offset in range(4)]

    assert calendar_note(dates[:2]) is None
    assert "from 2027-01-01 on" in str(calendar_note(dates))


def test_the_report_is_well_formed_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    folder = _submit_fully(tmp_path)
    page = write_report(folder, audit(folder)).read_text()
    parser = _Balance()
    parser.feed(page)

    assert parser.open == []
    assert not parser.seen & {"script", "link", "img", "iframe"}
    assert "http" not in page.replace("http-equiv", "")
    assert "no violation" in page


def test_the_chosen_borrower_is_the_one_whose_month_shows_most(tmp_path: Path) -> None:
    figures = read_figures(_submit_fully(tmp_path))
    borrower = chosen_borrower(figures)

    assert borrower is not None
    assert borrower.borrower_id == "B1"
    entries = entries_of(figures.evidence, borrower)
    assert [e.at for e in entries] == sorted(e.at for e in entries)
    assert {"allowed", "text", "said", "payment", "promise"} <= {entry.kind for entry in entries}
    assert next(e for e in entries if e.kind == "allowed").body_zh == "允许。"


def test_what_people_wrote_is_escaped(tmp_path: Path) -> None:
    folder = _submit_fully(tmp_path)
    inbound = folder / "inbound.jsonl"
    inbound.write_text(inbound.read_text().replace("明天还", "<script>alert(1)</script>"))

    assert "<script>" not in write_report(folder, audit(folder)).read_text()


def test_a_run_without_any_contact_still_has_a_report(tmp_path: Path) -> None:
    case = good_case()
    for rows in (case.events, case.decisions, case.carrier, case.inbound, case.payments, case.postings, case.loans):
        rows.clear()
    folder = case.write(tmp_path)

    assert "Nobody was contacted" in write_report(folder, audit(folder)).read_text()


def test_amounts_are_shown_with_their_symbol() -> None:
    assert money_text(123_456_789, "CNY") == "¥1,234,568"
    assert money_text(100, "EUR") == "EUR 1"
