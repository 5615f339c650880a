"""`decorum gate explain`: the same decision by options and by JSON, drawn for a person or as JSON for a machine."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.cli import commands
from compliance_gate.commands.told import explain_situation, from_options
from compliance_gate.policy.book import load_packs
from compliance_gate.settings import TenantPolicy
from tests.commands import decorum

HOLIDAY_CALL = ["explain", "--at", "2026-10-04T10:00+08:00", "--channel", "voice"]


def told(*arguments: str) -> dict[str, object]:
    run = CliRunner().invoke(commands, [*arguments, "--json"])
    assert run.exit_code == 0, run.output
    answer = json.loads(run.stdout)
    assert isinstance(answer, dict)
    return answer


def test_it_tells_verdict_rules_with_sources_next_instant_and_the_weeks_windows() -> None:
    answer = told(*HOLIDAY_CALL)
    assert answer["verdict"] == "deferred"
    assert answer["next_legal_instant"] == "2026-10-08T01:00:00Z"
    assert answer["packs"] == ["cn", "courteous"]
    windows = answer["legal_windows"]
    assert isinstance(windows, list)
    assert windows[0] == {"start": "2026-10-08T01:00:00Z", "end": "2026-10-08T12:00:00Z"}
    assert len(windows) == 3
    rules = answer["rules"]
    assert isinstance(rules, list)
    assert all(rule["source"] and rule["name_zh"] for rule in rules)
    assert answer["calendars"] == {
        "CN": {"valid_through": "2026-12-31", "source": "State Council notices, from chinesecalendar"}
    }


def test_past_contacts_restrictions_and_opt_outs_are_options() -> None:
    past = ["--past", "2026-09-15T09:10+08:00,sms,delivered"]
    at = ["explain", "--at", "2026-09-15T10:00+08:00"]
    assert told(*at)["verdict"] == "allowed"
    assert told(*at, *past)["verdict"] == "deferred"
    assert told(*at, "--restriction", "dispute")["verdict"] == "denied"
    assert told(*at, "--opt-out", "sms")["verdict"] == "denied"
    assert told(*at, "--pack", "cn", *past)["verdict"] == "allowed"


def test_the_overlay_and_the_terms_are_those_of_the_gates_environment() -> None:
    call = ["explain", "--at", "2026-09-15T10:00+08:00", "--json"]
    run = CliRunner().invoke(commands, call, env={"COMPLIANCE_GATE_PERMIT_MINUTES_MAX": "7"})
    assert json.loads(run.stdout)["permit_expires_at"] == "2026-09-15T02:07:00Z"
    said = decorum("gate", *call, environment={"COMPLIANCE_GATE_OVERLAY": "curt"})
    assert said.code == 2
    assert "curt: there is no tenant overlay of this name" in said.err


def test_another_overlay_than_the_shipped_one_is_in_force_by_its_name() -> None:
    packs = load_packs()
    packs["curt"] = replace(packs["courteous"], name="curt", rules=())
    situation = from_options(
        channel="sms",
        at="2026-10-04T21:00+08:00",
        zones=["Asia/Shanghai"],
        region="CN",
        role=None,
        packs=[],
        party="borrower",
        loans=["loan"],
        number=None,
        restrictions=[],
        opt_outs=[],
        past=[],
    )
    by_default = explain_situation(situation, packs, OfficialCalendars(), TenantPolicy())
    assert (by_default.policy.stack.overlay, by_default.verdict) == ("courteous", "deferred")
    by_name = explain_situation(situation, packs, OfficialCalendars(), TenantPolicy(overlay="curt"))
    assert (by_name.policy.stack.overlay, by_name.verdict) == ("curt", "allowed")


def test_without_a_platform_and_an_instant_it_is_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DECORUM_CLOCK", "DECORUM_KAFKA_BOOTSTRAP_SERVERS", "DECORUM_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    before = datetime.now(UTC)
    at = datetime.fromisoformat(str(told("explain")["at"]))
    assert before <= at <= datetime.now(UTC)


def test_a_conformance_case_can_be_explained_as_it_is(tmp_path: Path) -> None:
    cases = Path(__file__).parents[2] / "services" / "compliance-gate" / "cases" / "us-reg-f.jsonl"
    line = cases.read_text(encoding="utf-8").splitlines()[0]
    file = tmp_path / "case.json"
    file.write_text(line, encoding="utf-8")
    assert told("explain", str(file))["verdict"] == "deferred"
    run = CliRunner().invoke(commands, ["explain", "-"], input=line)
    assert run.exit_code == 0
    assert "12 CFR" in run.stdout


def test_it_is_drawn_for_a_terminal() -> None:
    run = CliRunner().invoke(commands, HOLIDAY_CALL, env={"COLUMNS": "160"})
    assert run.exit_code == 0
    assert "DEFERRED" in run.stdout
    assert "Next legal instant: Thursday 2026-10-08 09:00 (Asia/Shanghai)" in run.stdout
    assert "Thu 10-08  ··················██████████████████████········" in run.stdout


def test_a_rules_id_is_whole_in_a_narrow_terminal() -> None:
    call = ["explain", "--channel", "voice", "--region", "US-NY", "--zone", "America/New_York", *HOLIDAY_CALL[1:3]]
    rules = told(*call)["rules"]
    assert isinstance(rules, list)
    drawn = CliRunner().invoke(commands, call, env={"COLUMNS": "80"}).stdout.splitlines()
    first_words = {line.split()[1] for line in drawn if len(line.split()) > 1}
    assert {rule["rule_id"] for rule in rules} <= first_words
    assert all(len(line) <= 80 for line in drawn if line[:1] in "✓!?◷✗–")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--at", "yesterday"],
        ["--at", "2026-09-15T10:00"],
        ["--zone", "Asia/Nowhere"],
        ["--channel", "fax"],
        ["--restriction", "tired"],
        ["--past", "2026-09-15,sms"],
        ["--pack", "in"],
    ],
)
def test_what_cannot_be_understood_is_refused_with_a_reason(arguments: list[str]) -> None:
    said = decorum("gate", "explain", *arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("cannot explain this: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--channel", "fax"], "attempt.channel: 'fax' is none of email, letter, sms, visit, voice"),
        (["--party", "x"], "attempt.party: 'x' is none of attorney, borrower, third_party"),
        (["--role", "x"], "role: 'x' is none of agency, lender"),
        (["--opt-out", "x"], "borrower.preferences[0].channel: 'x' is none of email, letter, sms, visit, voice"),
        (
            ["--restriction", "dispute", "--restriction", "tired"],
            "borrower.restrictions[1].kind: 'tired' is none of attorney, bankruptcy, cease, deceased, dispute, "
            "identity_theft, vulnerable, workplace_prohibited",
        ),
        (["--pack", "xx", "--pack", "cn"], "pack not installed: xx; there are cn, us-reg-f"),
    ],
)
def test_where_only_some_values_are_known_all_of_them_are_told(arguments: list[str], said: str) -> None:
    assert decorum("gate", "explain", *arguments).err == f"cannot explain this: {said}"


def test_a_wrong_field_of_a_file_is_told_with_the_values_that_it_may_have() -> None:
    borrower = {"zones": ["Asia/Shanghai"], "region": "CN", "preferences": [{"kind": "hates"}]}
    situation = {"borrower": borrower, "attempt": {"at": "2026-09-15T10:00:00Z", "channel": "sms"}}
    said = decorum("gate", "explain", "-", given=json.dumps(situation).encode())
    assert said.err == "cannot explain this: borrower.preferences[0].kind: 'hates' is none of inconvenient, opt_out"
    borrower["preferences"] = [{"kind": "inconvenient", "days": ["mon", "someday"]}]
    said = decorum("gate", "explain", "-", given=json.dumps(situation).encode())
    assert said.err.endswith("'someday' is none of fri, mon, sat, sun, thu, tue, wed")
