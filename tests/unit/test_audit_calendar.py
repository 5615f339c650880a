from __future__ import annotations

from datetime import date, timedelta

import holidays
import pytest

from decorum_simulation.audit.calendar import NoCalendar, country_of_zone, day_kind, published_chinese_kind


@pytest.mark.parametrize("year", [2025, 2026])
def test_the_chinese_table_written_by_hand_agrees_with_the_published_one(year: int) -> None:
    day = date(year, 1, 1)
    while day.year == year:
        assert day_kind("CN", day) == published_chinese_kind(day), day
        day += timedelta(days=1)


@pytest.mark.parametrize("year", range(2004, 2031))
def test_the_federal_holidays_by_statute_agree_with_the_published_ones(year: int) -> None:
    published = holidays.country_holidays("US", years=[year, year + 1])
    day = date(year, 1, 1)
    while day.year == year:
        assert (day_kind("US", day) == "holiday") == (day in published), day
        day += timedelta(days=1)


def test_weekend_days_inside_an_official_break_are_holidays() -> None:
    assert day_kind("CN", date(2026, 10, 4)) == "holiday"
    assert day_kind("CN", date(2026, 9, 20)) == "workday"
    assert day_kind("CN", date(2026, 9, 19)) == "weekend"


def test_a_year_that_is_not_written_by_hand_is_as_published() -> None:
    assert day_kind("CN", date(2024, 9, 13)) == "workday"
    assert day_kind("CN", date(2024, 9, 14)) == "workday"
    assert day_kind("CN", date(2024, 9, 15)) == "holiday"
    assert day_kind("CN", date(2024, 9, 21)) == "weekend"
    assert day_kind("CN", date(2024, 10, 6)) == "holiday"


def test_a_year_without_an_official_calendar_is_refused() -> None:
    with pytest.raises(NoCalendar):
        day_kind("CN", date(2027, 1, 4))


def test_zones_of_other_countries_are_not_guessed() -> None:
    assert country_of_zone("Pacific/Honolulu") == "US"
    assert country_of_zone("Asia/Urumqi") == "CN"
    assert country_of_zone("Europe/Paris") is None
