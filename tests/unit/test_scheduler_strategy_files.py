import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scheduler.adapters.strategy_files import read_book, read_grading, read_strategy
from scheduler.adapters.yaml_lines import StrategyFileError
from scheduler.cli import commands
from scheduler.settings import SHIPPED_STRATEGIES, SchedulerSettings
from shared.settings import SettingsError, load

LOW = SHIPPED_STRATEGIES / "courteous-low.yaml"
TEMPLATES = {
    "sms-reminder",
    "sms-overdue-early",
    "sms-overdue",
    "sms-overdue-late",
    "sms-final",
    "call-overdue",
    "call-overdue-late",
}


def _changed(tmp_path: Path, source: Path, old: str, new: str) -> Path:
    text = source.read_text()
    assert old in text
    path = tmp_path / source.name
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_shipped_strategies_cover_every_grade_and_use_the_notifiers_templates_alone() -> None:
    book = read_book(SHIPPED_STRATEGIES)
    assert [s.name for s in book.by_grade.values()] == ["courteous-low", "courteous-medium", "courteous-high"]
    assert {step.template for s in book.by_grade.values() for step in s.steps} == TEMPLATES


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("grade: low", "grade: mild", 4, "grade: Invalid enum value 'mild'"),
        ("version: 1", "version: 0", 3, "version: Expected `int` >= 1"),
        ("channel: sms, template: sms-reminder", "channel: fax, template: sms-reminder", 11, "steps[0].channel"),
        ('["10:00", "14:00", "16:30"]', '["10:00", "25:00"]', 11, "steps[0].local_hours[1]"),
        ('["10:00", "14:00", "16:30"]', '["07:30"]', 11, "must be between 08:00 and 20:00"),
        ("template: sms-reminder", "template: sms-remainder", 11, "there is no template sms-remainder"),
        ("template: sms-reminder", "template: sms-opt-out-confirmation", 11, "there is no template"),
        ("template: sms-reminder", "template: sms-overdue", 11, "is for the days up to the due date"),
        ("template: sms-overdue-early", "template: sms-reminder", 12, "is for the days up to the due date"),
        ("template: sms-overdue-early", "template: call-overdue", 12, "isn't for the channel sms"),
        ("key: day-004-sms", "key: day-001-sms", 13, "steps[2].key: is used twice"),
        ("day: 68,", "day: 75,", 25, "it would never be taken"),
        ("lifetime_hours: 48", "lifetime_hours: 0", 11, "steps[0].lifetime_hours"),
        ("spacing_hours: 20", "spacing_hours: often", 27, "spacing_hours"),
        ("spacing_hours: 20", "spacing_minutes: 20", 27, "unknown field `spacing_minutes`"),
        ("CNY: 500", "XXX: 500", 30, "unknown currency"),
        ("default: 500, ", "", 30, "needs an amount for default"),
        ("dispute: {referral: person}", "dispute: {}", 35, "needs days, or a referral"),
        ("dispute: {referral: person}", "quarrel: {referral: person}", 35, "quarrel"),
        ("target: legal", "target: police", 47, "referrals[2].target"),
        ("strategy: courteous-low", "strategy: courteous-low\nstrategy: other", 3, "strategy: is there twice"),
        ("steps:", "steps: [", 9, ""),
    ],
)
def test_a_wrong_strategy_is_refused_with_file_line_and_reason(
    tmp_path: Path, old: str, new: str, line: int, reason: str
) -> None:
    path = _changed(tmp_path, LOW, old, new)
    with pytest.raises(StrategyFileError) as refused:
        read_strategy(path)
    assert reason in str(refused.value)
    assert refused.value.path == path
    assert reason == "" or refused.value.line == line


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("small: low, medium: low, large: medium", "small: none, medium: low, large: medium", "bands[0].small"),
        ("from_day: 31", "from_day: 8", "bands must rise by from_day"),
        ("small_below_minor: 15000", "small_below_minor: 999999999", "must be above small_below_minor"),
    ],
)
def test_a_wrong_grading_is_refused_with_file_line_and_reason(tmp_path: Path, old: str, new: str, reason: str) -> None:
    with pytest.raises(StrategyFileError, match=r"grading\.yaml:\d+: ") as refused:
        read_grading(_changed(tmp_path, SHIPPED_STRATEGIES / "grading.yaml", old, new))
    assert reason in str(refused.value)


def test_a_key_that_means_two_things_in_two_strategies_is_refused(tmp_path: Path) -> None:
    for path in SHIPPED_STRATEGIES.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    _changed(
        tmp_path, SHIPPED_STRATEGIES / "courteous-medium.yaml", "key: day-001-sms, day: 1", "key: day-001-sms, day: 2"
    )
    with pytest.raises(StrategyFileError, match=r"courteous-medium\.yaml:12: steps\[1\]\.key: the same step key"):
        read_book(tmp_path)


def test_a_folder_without_a_strategy_for_each_grade_is_refused(tmp_path: Path) -> None:
    for path in SHIPPED_STRATEGIES.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "courteous-high.yaml").unlink()
    with pytest.raises(StrategyFileError, match="no strategy for the grade high"):
        read_book(tmp_path)


def test_a_file_that_is_not_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"strategy: x\n\xff")
    with pytest.raises(StrategyFileError, match=r"x\.yaml:2: is not UTF-8"):
        read_strategy(tmp_path / "x.yaml")
    (tmp_path / "x.yaml").write_text("[" * 20_000)
    with pytest.raises(StrategyFileError, match=r"x\.yaml:1: is nested too deep"):
        read_strategy(tmp_path / "x.yaml")
    with pytest.raises(StrategyFileError, match=r"y\.yaml: there is no such file"):
        read_strategy(tmp_path / "y.yaml")


def test_the_command_tells_good_files_from_bad_ones(tmp_path: Path) -> None:
    bad = _changed(tmp_path, LOW, "grade: low", "grade: mild")
    good = CliRunner().invoke(commands, ["check", str(SHIPPED_STRATEGIES), str(LOW)])
    assert good.exit_code == 0
    assert "good: courteous-low, 15 steps" in good.output
    refused = CliRunner().invoke(commands, ["check", str(bad)])
    assert refused.exit_code == 1
    assert "courteous-low.yaml:4: grade:" in refused.output


def test_the_command_shows_a_path_for_machines() -> None:
    arguments = ["path", "--amount-minor", "250000", "--due-on", "2026-09-10", "--json"]
    shown = CliRunner().invoke(commands, arguments)
    assert shown.exit_code == 0
    assert '"key": "refer-150-legal"' in shown.output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCHEDULER_DEFAULT_ZONE", "Mars/Base"),
        ("SCHEDULER_ASK_AGAIN_MINUTES", "0"),
        ("SCHEDULER_RELEASE_BORROWERS_MAX", "many"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(SchedulerSettings, "SCHEDULER_", {name: value})


def test_a_path_is_drawn_in_the_borrowers_own_time_with_whole_names_at_eighty_columns() -> None:
    arguments = ["path", "--amount-minor", "250000", "--due-on", "2026-09-10"]
    drawn = CliRunner().invoke(commands, arguments, env={"COLUMNS": "80"}).stdout.splitlines()
    assert drawn[0].strip() == "Times in Asia/Shanghai"
    assert drawn[3].split() == ["1", *["2026-09-11", "10:00", "2026-09-13", "10:00"], "sms", "sms-overdue-early", "low"]
    assert all(len(line) <= 80 and "…" not in line for line in drawn)
