"""Money, ids and clocks."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared import ids
from shared.clock import ShiftedClock, SystemClock, VirtualClock, write_offset
from shared.money import MINOR_DIGITS, Money


def test_money_of_one_currency_is_added_in_minor_units() -> None:
    total = Money(amount_minor=53_500, currency="CNY") + Money(amount_minor=-500, currency="CNY")
    assert total == Money(amount_minor=53_000, currency="CNY")


def test_money_of_two_currencies_is_never_added() -> None:
    with pytest.raises(ValueError, match="two currencies"):
        Money(amount_minor=1, currency="CNY") + Money(amount_minor=1, currency="USD")


@pytest.mark.parametrize("code", ["", "cny", "XXX", "CNYY"])
def test_money_of_an_unknown_currency_does_not_exist(code: str) -> None:
    with pytest.raises(ValueError, match="unknown currency"):
        Money(amount_minor=1, currency=code)


def test_yen_have_no_minor_digits_and_dinars_three() -> None:
    assert (MINOR_DIGITS["JPY"], MINOR_DIGITS["CNY"], MINOR_DIGITS["KWD"]) == (0, 2, 3)


def test_equal_parts_give_equal_ids_in_every_process() -> None:
    code = "from shared import ids; print(ids.derive('attempt', 'B-1', 7))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert other.stdout.strip() == ids.derive("attempt", "B-1", 7)


def test_other_parts_another_kind_or_another_split_give_other_ids() -> None:
    made = {
        ids.derive("attempt", "B-1", "2"),
        ids.derive("decision", "B-1", "2"),
        ids.derive("attempt", "B-12"),
        ids.derive("attempt", "B-1", "2", ""),
        ids.derive("attempt", "2", "B-1"),
    }
    assert len(made) == 5


def test_an_id_is_a_uuid_of_version_5() -> None:
    attempt = ids.attempt_id(borrower_id="B", currency="CNY", episode="2026-09-10", step_key="sms", plan_number=1)
    assert attempt[14] == "5"
    assert attempt[19] in "89ab"
    assert ids.decision_id(borrower_id="B", attempt_id=attempt, submission_number=1) != attempt


def test_the_systems_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_a_shifted_clock_runs_from_where_it_was_put(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    start = datetime(2026, 9, 16, 2, 0, tzinfo=UTC)
    write_offset(file, start - datetime.now(UTC))
    clock = ShiftedClock(file)
    first = clock.now()
    assert start <= first < start + timedelta(minutes=1)
    assert clock.now() >= first


def test_moving_the_file_moves_every_clock_on_it(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    write_offset(file, timedelta())
    clocks = [ShiftedClock(file) for _ in range(2)]
    write_offset(file, timedelta(days=1))
    for clock in clocks:
        assert clock.now() - datetime.now(UTC) > timedelta(hours=23)
    for seconds in range(20):
        write_offset(file, timedelta(days=1, seconds=seconds))
        assert {round((clock.now() - datetime.now(UTC)).total_seconds()) for clock in clocks} == {86_400 + seconds}
    write_offset(file, timedelta(days=1))
    assert json.loads(file.read_text()) == {"offset_seconds": 86_400.0}
    assert list(tmp_path.iterdir()) == [file]


def test_a_virtual_clock_stands_still_until_it_is_moved_and_never_goes_back() -> None:
    start = datetime(2026, 9, 15, tzinfo=UTC)
    clock = VirtualClock(start)
    assert clock.now() == clock.now() == start
    clock.move_to(start + timedelta(minutes=5))
    clock.move_to(start + timedelta(minutes=5))
    assert clock.now() == start + timedelta(minutes=5)
    with pytest.raises(ValueError, match="never goes back"):
        clock.move_to(start)
    assert clock.now() == start + timedelta(minutes=5)


def test_a_virtual_clock_tells_utc_whatever_zone_it_was_given_in() -> None:
    clock = VirtualClock(datetime.fromisoformat("2026-09-16T10:00:00+08:00"))
    assert clock.now().isoformat() == "2026-09-16T02:00:00+00:00"
