"""Official calendars: the libraries agree, breaks are the State Council's, nothing is known past the last year."""

from __future__ import annotations

from datetime import date, timedelta

import chinese_calendar
import holidays
import pytest

from compliance_gate.adapters.calendars import OfficialCalendars, official_calendar, zone_countries, zones_of_number

BREAKS_OF_2026 = (
    (date(2026, 1, 1), date(2026, 1, 3)),
    (date(2026, 2, 15), date(2026, 2, 23)),
    (date(2026, 4, 4), date(2026, 4, 6)),
    (date(2026, 5, 1), date(2026, 5, 5)),
    (date(2026, 6, 19), date(2026, 6, 21)),
    (date(2026, 9, 25), date(2026, 9, 27)),
    (date(2026, 10, 1), date(2026, 10, 7)),
)
MAKE_UP_WORKDAYS_OF_2026 = {
    date(2026, 1, 4), date(2026, 2, 14), date(2026, 2, 28), date(2026, 5, 9), date(2026, 9, 20), date(2026, 10, 10),
}  # fmt: skip


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def test_both_libraries_have_the_same_non_working_days_for_china() -> None:
    china = holidays.country_holidays("CN", years=range(2020, 2027))
    differing = [
        day for day in days(date(2020, 1, 1), date(2026, 12, 31))
        if china.is_working_day(day) != chinese_calendar.is_workday(day)
    ]  # fmt: skip
    assert differing == []


def test_the_calendar_of_china_has_the_same_non_working_days_as_both_libraries() -> None:
    calendar = official_calendar("CN")
    assert calendar is not None
    for day in days(date(2020, 1, 1), date(2026, 12, 31)):
        works = calendar.day_class(day) in ("workday", "makeup_workday")
        assert works == chinese_calendar.is_workday(day), day


def test_every_day_of_a_break_of_2026_is_a_holiday_and_no_other_day() -> None:
    calendar = official_calendar("CN")
    assert calendar is not None
    official = {day for first, last in BREAKS_OF_2026 for day in days(first, last)}
    assert {day for day in calendar.holidays if day.year == 2026} == official
    assert {day for day in calendar.makeup_workdays if day.year == 2026} == MAKE_UP_WORKDAYS_OF_2026


def test_nothing_is_known_of_china_past_the_last_official_year() -> None:
    calendar = official_calendar("CN")
    assert calendar is not None
    assert calendar.valid_through == date(2026, 12, 31)
    assert calendar.day_class(date(2026, 12, 31)) == "workday"
    assert calendar.day_class(date(2027, 1, 4)) is None


def test_federal_holidays_count_actual_and_observed() -> None:
    calendar = official_calendar("US")
    assert calendar is not None
    assert calendar.day_class(date(2026, 7, 3)) == "holiday"
    assert calendar.day_class(date(2026, 7, 4)) == "holiday"
    assert calendar.day_class(date(2027, 12, 31)) == "holiday"
    assert calendar.day_class(date(2026, 11, 27)) == "workday"
    assert calendar.day_class(date(2031, 7, 4)) is None


def test_countries_without_an_official_calendar_have_none() -> None:
    assert official_calendar("JP") is None


@pytest.mark.parametrize(
    ("zone", "country"),
    [
        ("Asia/Shanghai", "CN"), ("Asia/Urumqi", "CN"), ("Asia/Chongqing", "CN"), ("PRC", "CN"),
        ("America/New_York", "US"), ("US/Pacific", "US"), ("America/Indiana/Knox", "US"), ("Pacific/Honolulu", "US"),
        ("America/Puerto_Rico", "PR"), ("Asia/Hong_Kong", "HK"), ("UTC", None), ("Etc/GMT+5", None),
    ],
)  # fmt: skip
def test_a_zone_lies_in_its_country(zone: str, country: str | None) -> None:
    assert OfficialCalendars().country_of(zone) == country
    assert zone_countries().get(zone) == country


def test_a_number_gives_every_zone_that_it_may_lie_in() -> None:
    assert zones_of_number("+8613800138000") == ("Asia/Shanghai",)
    assert zones_of_number("+12125550101") == ("America/New_York",)
    assert len(zones_of_number("+18005550101")) > 1
    with pytest.raises(ValueError, match="phone number"):
        zones_of_number("12")
    with pytest.raises(ValueError, match="possible"):
        zones_of_number("+1212")
