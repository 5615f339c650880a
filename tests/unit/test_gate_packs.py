"""Policy packs: complete, sourced, hashed by content, and refused with file, line and reason when they are wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.domain.rules import CapRule, WindowRule
from compliance_gate.policy.book import PACKS_DIRECTORY, PolicyBook, load_packs
from compliance_gate.policy.loading import load_pack
from compliance_gate.policy.yaml_fields import InvalidPack

PACKS = load_packs()
SMALL = """\
pack: small
title: A small pack
layer: nation
regions: [CN]
rules:
  - id: small.hours
    kind: window
    name_en: hours
    name_zh: 时段
    source: a text
    grade: law
    confirmation: confirmed
    force: ban
    every_day: ["08:00-21:00"]
"""


def errors_of(text: str, folder: Path) -> tuple[str, ...]:
    file = folder / "small.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidPack) as refused:
        load_pack(file)
    return refused.value.errors


def test_every_rule_of_the_packs_has_a_source_a_grade_and_two_names() -> None:
    for pack in PACKS.values():
        for rule in pack.rules:
            assert rule.source, rule.rule_id
            assert rule.name_en, rule.rule_id
            assert any("一" <= letter <= "鿿" for letter in rule.name_zh), rule.rule_id
        assert pack.layer == "tenant" or pack.obligations


def test_the_national_packs_keep_what_is_no_rule_as_obligations_or_say_why_it_is_not_encoded() -> None:
    assert len(PACKS["cn"].obligations) >= 20
    assert len(PACKS["us-reg-f"].obligations) >= 12
    assert any("7个自然日" in entry.text_en for entry in PACKS["cn"].not_encoded)
    assert all(entry.reason for pack in PACKS.values() for entry in pack.not_encoded)


def test_only_the_courteous_overlay_needs_a_calendar() -> None:
    needing = {
        rule.rule_id
        for pack in PACKS.values()
        for rule in pack.rules
        if isinstance(rule, WindowRule) and rule.uses_calendar
    }
    assert needing == {"courteous.hours"}


def test_the_courteous_caps_are_those_of_the_lender() -> None:
    caps = {rule.rule_id: rule for rule in PACKS["courteous"].rules if isinstance(rule, CapRule)}
    limits = {name.removeprefix("courteous."): (cap.limit, cap.window.length) for name, cap in caps.items()}
    assert limits == {
        "sms-a-day": (1, 1), "sms-in-seven-days": (3, 7), "calls-a-day": (2, 1), "calls-in-seven-days": (6, 7),
        "contacts-in-seven-days": (5, 7),
    }  # fmt: skip
    assert all(cap.measure == "attempt" and cap.key == "borrower" for cap in caps.values())


def test_the_hash_is_of_the_content_not_of_the_layout(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    hashes = []
    for text in (
        SMALL,
        SMALL.replace("title: A small pack", "# a comment\ntitle:   'A small pack'"),
        SMALL + "    limit: 1\n",
    ):
        file.write_text(text, encoding="utf-8")
        try:
            hashes.append(load_pack(file).content_hash)
        except InvalidPack:
            hashes.append("invalid")
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("08:00-21:00", "21:00-08:00", 6, "isn't a span"),
        ("08:00-21:00", "8-21", 6, "isn't a span"),
        ("force: ban", "force: maybe", 13, "isn't one of"),
        ("kind: window", "kind: weather", 7, "isn't one of"),
        ("    source: a text\n", "", 6, "source is missing"),
        ("    force: ban\n", "    force: ban\n    colour: red\n", 14, "unknown field 'colour'"),
        ("id: small.hours", "id: other.hours", 6, "starts with the pack's name"),
        ("regions: [CN]", "regions: [China]", 4, "must be a list of texts like"),
        ("regions: [CN]", "zone: x", 1, "regions is missing"),
        ("layer: nation", "layer: [nation]", 3, "isn't one of"),
        ("    force: ban\n", "    force: ban\n    effective_from: 2026-02-30\n", 14, "isn't a date"),
        ("    force: ban\n", "    force: ban\n    force: ban\n", 14, "given twice"),
        (
            "    force: ban\n",
            "    force: ban\n    effective_from: 2026-02-01\n    effective_to: 2026-01-31\n",
            6,
            "never in force",
        ),
    ],
)
def test_a_wrong_pack_is_refused_with_line_and_reason(
    tmp_path: Path, old: str, new: str, line: int, reason: str
) -> None:
    found = errors_of(SMALL.replace(old, new), tmp_path)
    assert any(error.startswith(f"small.yaml:{line}: ") and reason in error for error in found), found


def test_every_error_of_a_pack_is_told_at_once(tmp_path: Path) -> None:
    text = SMALL.replace("force: ban", "force: maybe").replace("grade: law", "grade: gossip")
    assert len(errors_of(text, tmp_path)) == 2


@pytest.mark.parametrize(
    "text", ["", "- a\n- b\n", "pack: [", "pack: small\n  x: 1\n y: 2\n", "just text", "[" * 20_000]
)
def test_what_is_no_pack_is_refused(tmp_path: Path, text: str) -> None:
    assert errors_of(text, tmp_path)[0].startswith("small.yaml:")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_bytes(b"pack: \xff")
    with pytest.raises(InvalidPack, match="not UTF-8"):
        load_pack(tmp_path / "small.yaml")


def test_a_role_for_a_pack_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in PACKS_DIRECTORY.glob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace("roles: {us-reg-f: agency}", "roles: {us-regf: agency}")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidPack, match=r"courteous\.yaml:1: roles: there is no pack us-regf"):
        load_packs(tmp_path)


def test_a_pack_lives_in_a_file_of_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(SMALL, encoding="utf-8")
    with pytest.raises(InvalidPack, match="file of its own name"):
        load_packs(tmp_path)


@pytest.mark.parametrize("first", [11, 13])
def test_rules_that_end_and_begin_on_one_date_are_told_apart_whichever_hour_is_asked_first(
    tmp_path: Path, first: int
) -> None:
    # On 1 March one rule is over everywhere at 12:00 UTC, and another binds from 10:00, where 2 March begins first.
    rule = SMALL.partition("rules:\n")[2]
    later = rule.replace("small.hours", "small.later").replace("08:00", "09:00") + "    effective_from: 2026-03-02\n"
    (tmp_path / "small.yaml").write_text(SMALL + "    effective_to: 2026-02-28\n" + later, encoding="utf-8")
    policy = PolicyBook(load_packs(tmp_path), OfficialCalendars()).resolve("CN", ("Asia/Shanghai",))
    found = {}
    for hour in (first, 11, 13):
        plan = policy.plan_for("voice", "borrower", datetime(2026, 3, 1, hour, tzinfo=UTC))
        found[hour] = [window.rule_id for window in plan.windows]
    assert found == {11: ["small.hours", "small.later"], 13: ["small.later"]}


def test_an_overlay_that_does_not_exist_stops_the_book() -> None:
    with pytest.raises(InvalidPack):
        PolicyBook(PACKS, OfficialCalendars(), overlay="cn")


def test_packs_of_region_and_zones_are_in_force_together() -> None:
    book = PolicyBook(PACKS, OfficialCalendars(), overlay="courteous")
    assert book.resolve("CN", ("Asia/Shanghai",)).stack.packs == ("cn",)
    assert book.resolve("US-NY", ("America/New_York",)).stack.roles == (("us-reg-f", "agency"),)
    assert book.resolve("CN", ("America/New_York",)).stack.packs == ("cn", "us-reg-f")
    assert book.resolve("FR", ("Europe/Paris",)).problem is not None


def test_a_policy_is_resolved_once() -> None:
    book = PolicyBook(PACKS, OfficialCalendars(), overlay="courteous")
    assert book.resolve("CN", ("Asia/Shanghai",)) is book.resolve("CN", ("Asia/Shanghai",))


def test_another_role_or_calendar_is_another_policy_hash() -> None:
    book = PolicyBook(PACKS, OfficialCalendars())
    lender = book.stack(["us-reg-f"], role="lender", region="US", zones=("America/New_York",))
    agency = book.stack(["us-reg-f"], role="agency", region="US", zones=("America/New_York",))
    china = book.stack(["us-reg-f"], role="agency", region="CN", zones=("Asia/Shanghai",))
    assert len({lender.policy_hash, agency.policy_hash, china.policy_hash}) == 3


def test_a_rule_that_takes_the_place_of_others_removes_them(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    state = SMALL.replace("small", "state").replace("layer: nation", "layer: state")
    (tmp_path / "state.yaml").write_text(
        state.replace("    force: ban\n", "    force: ban\n    instead_of: [small.hours]\n"), encoding="utf-8"
    )
    book = PolicyBook(load_packs(tmp_path), OfficialCalendars())
    policy = book.resolve("CN", ("Asia/Shanghai",))
    assert [rule.rule_id for rule in policy.rules] == ["state.hours"]


def test_the_packs_directory_is_where_the_packs_are() -> None:
    assert {path.stem for path in PACKS_DIRECTORY.glob("*.yaml")} == {"cn", "us-reg-f", "courteous"}
