from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from decorum_simulation.audit.run import audit
from decorum_simulation.report.figures import money_text, read_figures
from decorum_simulation.report.page import write_report
from decorum_simulation.report.timeline import chosen_borrower, entries_of
from tests.unit.audit_cases import at, good_case

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


def _submit_fully(folder: Path) -> Path:
    case = good_case()
    for event in case.events:
        if event["type"] == "x.attempt-submitted.v1":
            event["data"] |= {"currency": "CNY", "risk_grade": "low"}
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
