"""The conformance runner and the cases that the repository carries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.cli import commands
from compliance_gate.commands.conformance import run_file, run_line
from compliance_gate.policy.book import PolicyBook, load_packs
from tests.commands import decorum

CASES = Path(__file__).parents[2] / "services" / "compliance-gate" / "cases"
BOOK = PolicyBook(load_packs(), OfficialCalendars())
NIGHT_CALL: dict[str, Any] = {
    "id": "night",
    "source": "12 CFR 1006.6(b)(1)(i)",
    "packs": ["us-reg-f"],
    "role": "agency",
    "borrower": {
        "zones": ["America/New_York"],
        "region": "US-NY",
        "restrictions": [],
        "consents": [],
        "preferences": [],
    },
    "history": [],
    "attempt": {"at": "2026-04-07T22:00:00-04:00", "channel": "voice", "loans": ["L1"], "number": "+12125550101"},
    "expect": "blocked",
}


def changed(**changes: Any) -> str:
    return json.dumps({**NIGHT_CALL, **changes})


@pytest.mark.parametrize("file", sorted(CASES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_case_of_the_repository_passes(file: Path) -> None:
    results = list(run_file(file, BOOK))
    assert len(results) > 50
    assert [result.id for result in results if result.result != "passed"] == []
    assert len({result.id for result in results}) == len(results)


def test_a_case_is_answered_with_verdict_rules_next_instant_and_two_sentences() -> None:
    result = run_line(changed(), 1, BOOK)
    assert (result.result, result.verdict, result.mapped) == ("passed", "deferred", "blocked")
    assert {"rule_id": "us-reg-f.hours", "result": "deferred"}.items() <= result.rules[0].items()
    assert result.next_legal_instant is not None
    assert result.next_legal_instant.isoformat() == "2026-04-08T12:00:00+00:00"
    assert "Wednesday 2026-04-08 08:00 (America/New_York)" in result.sentence_en
    assert "2026年4月8日（周三）08:00" in result.sentence_zh


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        changed(extra=1),
        changed(role="bank"),
        changed(expect="maybe"),
        changed(attempt={**NIGHT_CALL["attempt"], "channel": "fax"}),
        changed(attempt={**NIGHT_CALL["attempt"], "colour": "red"}),
        changed(attempt={**NIGHT_CALL["attempt"], "at": "2026-04-07T22:00:00"}),
        changed(attempt={**NIGHT_CALL["attempt"], "direction": "inbound"}),
        changed(attempt={**NIGHT_CALL["attempt"], "reply_to": "nobody"}),
        changed(attempt={**NIGHT_CALL["attempt"], "party": "neighbour"}),
        changed(attempt={**NIGHT_CALL["attempt"], "at": "9999-12-31T22:00:00-05:00"}),
        changed(attempt={**NIGHT_CALL["attempt"], "at": "0001-01-01T00:00:00+05:00"}),
        changed()[:-1] + ', "expect": "permitted"}',
        changed(borrower={**NIGHT_CALL["borrower"], "region": "ZZ"}),
        changed(borrower={**NIGHT_CALL["borrower"], "zones": ["America/Gotham"]}),
        changed(borrower={**NIGHT_CALL["borrower"], "zones": ["localtime"]}),
        changed(borrower={**NIGHT_CALL["borrower"], "zones": ["America/New_York", "Factory"]}),
        changed(
            borrower={**NIGHT_CALL["borrower"], "restrictions": [{"kind": "tired", "from": "2026-04-01T00:00:00Z"}]}
        ),
        changed(borrower={**NIGHT_CALL["borrower"], "preferences": [{"kind": "mood", "from": "2026-04-01T00:00:00Z"}]}),
        changed(borrower={**NIGHT_CALL["borrower"], "preferences": [{"kind": "inconvenient", "start": "25:00"}]}),
        changed(history=[{"at": "2026-04-01T10:00:00Z", "channel": "sms", "direction": "outbound", "result": "busy"}]),
        changed(
            history=[{"at": "2026-04-01T10:00:00Z", "channel": "voice", "direction": "outbound", "result": "sent"}]
        ),
        changed(history=[{"at": "2026-04-01T10:00:00Z", "channel": "sms", "id": "a"}] * 2),
    ],
)
def test_what_is_not_understood_is_invalid_and_fails(line: str) -> None:
    result = run_line(line, 3, BOOK)
    assert result.result == "failed"
    assert result.verdict is None
    assert result.sentence_en.startswith("invalid: ")


def test_instants_at_the_edges_of_the_calendar_are_for_ever_and_end_no_run() -> None:
    first, last = "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"
    consent = {"kind": "outside_hours", "from": first, "until": last}
    called = {"at": last, "channel": "voice", "direction": "outbound", "result": "conversation"}
    case = changed(borrower={**NIGHT_CALL["borrower"], "consents": [consent]}, history=[called], expect="permitted")
    assert run_line(case, 1, BOOK).result == "passed"


def test_a_consent_for_an_empty_list_of_loans_covers_none() -> None:
    consent = {"kind": "outside_hours", "from": "2026-04-01T00:00:00Z", "loans": []}
    assert run_line(changed(borrower={**NIGHT_CALL["borrower"], "consents": [consent]}), 1, BOOK).result == "passed"


def test_a_number_is_the_same_one_with_and_without_the_marks_between_its_digits() -> None:
    refused = {"kind": "opt_out", "channel": "sms", "number": "+1 (212) 555-0101", "from": "2026-04-01T00:00:00Z"}
    noon = {**NIGHT_CALL["attempt"], "at": "2026-04-07T12:00:00-04:00", "channel": "sms"}
    case = changed(borrower={**NIGHT_CALL["borrower"], "preferences": [refused]}, attempt=noon)
    assert run_line(case, 1, BOOK).result == "passed"


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    case = json.dumps({**NIGHT_CALL, "id": "night\u2028\x85"}, ensure_ascii=False)
    file.write_bytes(f"\ufeff{case}\r\n\r\n{case}".encode())
    assert [result.result for result in run_file(file, BOOK)] == ["passed", "passed"]


@pytest.mark.parametrize(
    ("line", "known_as"),
    [
        (changed(packs="us-reg-f", expect="blocked"), "night"),
        (changed(packs=["us-xx"]), "night"),
        (changed()[:-1] + ', "packs": ["us-reg-f"]}', "night"),
        (changed(role="bank"), "night"),
        (changed(id=""), "line 7"),
        (changed(id=5), "line 7"),
    ],
)
def test_a_case_without_a_verdict_keeps_its_id_and_what_it_expected(line: str, known_as: str) -> None:
    result = run_line(line, 7, BOOK)
    assert (result.id, result.verdict, result.mapped, result.expect) == (known_as, None, None, "blocked")


def test_a_pack_that_is_not_installed_skips_the_case_visibly() -> None:
    result = run_line(changed(packs=["us-reg-f", "us-xx"]), 1, BOOK)
    assert result.result == "skipped"
    assert "us-xx" in result.sentence_en


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mood": "sad"}, "unknown field `mood`"),
        ({"attempt": {**NIGHT_CALL["attempt"], "tone": "soft"}}, "unknown field `tone`"),
        ({"role": "friend"}, "role: 'friend' is none of agency, lender"),
        ({"expect": "perhaps"}, "expect: 'perhaps' is none of blocked, permitted, review"),
        ({"borrower": {"zones": ["Mars/Base"], "region": "US-NY"}}, "'Mars/Base' isn't an IANA zone"),
    ],
)
def test_a_pack_that_is_not_installed_hides_no_mistake_of_its_case(changes: dict[str, Any], why: str) -> None:
    result = run_line(changed(packs=["us-xx"], **changes), 1, BOOK)
    assert (result.id, result.result, result.verdict) == ("night", "failed", None)
    assert result.sentence_en.startswith("invalid: ")
    assert why in result.sentence_en


def test_a_tenant_overlay_is_no_pack_of_a_case() -> None:
    assert run_line(changed(packs=["courteous"]), 1, BOOK).result == "skipped"


def test_a_lender_is_told_which_rules_do_not_bind_and_why() -> None:
    result = run_line(changed(role="lender", expect="permitted"), 1, BOOK)
    assert result.result == "passed"
    assert all(ruling["result"] == "not_applicable" for ruling in result.rules)
    assert all("1006.2(i)" in ruling["reason"] for ruling in result.rules)


def test_the_command_ends_with_the_counts_and_exits_by_them(tmp_path: Path) -> None:
    good, bad, missing = tmp_path / "good.jsonl", tmp_path / "bad.jsonl", tmp_path / "missing.jsonl"
    good.write_text(changed() + "\n\n" + changed(packs=["in"]) + "\n", encoding="utf-8")
    bad.write_text(changed(expect="permitted") + "\n", encoding="utf-8")
    runner = CliRunner()
    passed = runner.invoke(commands, ["conformance", str(good)])
    assert (passed.exit_code, passed.stdout.splitlines()[-1]) == (0, "1 passed, 0 failed, 1 skipped")
    failed = runner.invoke(commands, ["conformance", str(bad)])
    assert (failed.exit_code, failed.stdout.splitlines()[-1]) == (1, "0 passed, 1 failed, 0 skipped")
    assert decorum("gate", "conformance", str(missing)).code == 2
    bad.write_bytes(b"\xff\xfe")
    assert decorum("gate", "conformance", str(bad)).code == 2


def test_the_text_of_a_case_stays_on_one_line_and_steers_no_terminal(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(changed(id="夜\n\x1b[31m\u2028") + "\n" + changed(id=5) + "\n", encoding="utf-8")
    said = CliRunner().invoke(commands, ["conformance", str(file)], color=True).stdout
    assert said.split("\n")[0].startswith("passed  夜\\n\\x1b[31m\\u2028: blocked (deferred). ")
    assert len(said.splitlines()) == 3


def test_json_output_is_one_object_a_case(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(changed() + "\n" + changed(expect="review") + "\n", encoding="utf-8")
    run = CliRunner().invoke(commands, ["conformance", str(file), "--json"])
    rows = [msgspec.json.decode(line) for line in run.stdout.splitlines()]
    assert [row["result"] for row in rows] == ["passed", "failed"]
    assert set(rows[0]) == {
        "id", "verdict", "mapped", "expect", "result", "rules", "next_legal_instant", "sentence_en", "sentence_zh",
    }  # fmt: skip
    assert run.exit_code == 1
