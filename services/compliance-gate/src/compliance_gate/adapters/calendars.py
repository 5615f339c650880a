"""Official calendars from `holidays` and `chinesecalendar`; the country of a zone, and the zones of a phone number.

A calendar ends with the last year that is official. Past it these libraries silently project statutory days without
the State Council's breaks and make-up workdays, so nothing past it is used.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from importlib import resources
from zoneinfo import available_timezones

import chinese_calendar
import holidays
import phonenumbers
from phonenumbers import timezone as phone_zones

from compliance_gate.domain.calendars import Calendar

_US_FIRST_YEAR = 2021  # Juneteenth became a federal holiday in June 2021
_US_LAST_YEAR = 2030
"""US federal holidays are set by statute (5 U.S.C. 6103), not from year to year; the year is moved on by hand once it
is checked that the statute and the library still agree."""
_US_TERRITORIES = frozenset({"PR", "GU", "VI", "AS", "MP"})
_UNKNOWN_ZONE = "Etc/Unknown"


@lru_cache(maxsize=8)
def official_calendar(country: str) -> Calendar | None:
    """The official calendar of a country (ISO 3166-1); None where none is known to be official."""
    if country == "CN":
        return _mainland_china()
    if country == "US" or country in _US_TERRITORIES:
        return _united_states(country)
    return None


@lru_cache(maxsize=1)
def zone_countries() -> dict[str, str]:
    """The country of every IANA zone that lies in one, links included."""
    countries: dict[str, str] = {}
    for line in _tzdata("zone.tab"):
        if line and not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            countries[zone] = country
    for line in _tzdata("tzdata.zi"):
        if line.startswith("L "):
            _, target, link = line.split()
            if target in countries:
                countries.setdefault(link, countries[target])
    return countries


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    """Every IANA zone name that can be computed with; neither the machine's own zone nor the lack of one is a place."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def zones_of_number(e164: str) -> tuple[str, ...]:
    """Every zone that a phone number may lie in, sorted; empty where the number tells nothing.

    Raises ValueError for what isn't a possible number. A mobile number often tells no more than its country, so all
    zones of the country are candidates.
    """
    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        raise ValueError("not a phone number in E.164 form") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("not a possible phone number")
    zones = phone_zones.time_zones_for_number(number)
    return tuple(sorted(zone for zone in zones if zone != _UNKNOWN_ZONE and zone in known_zones()))


class OfficialCalendars:
    """The calendars and countries of this module, as the policy book asks for them."""

    def calendar(self, country: str) -> Calendar | None:
        """The official calendar of a country; None where there is none to rely on."""
        return official_calendar(country)

    def country_of(self, zone: str) -> str | None:
        """The country that an IANA zone lies in; None for zones that belong to none."""
        return zone_countries().get(zone)


def _mainland_china() -> Calendar:
    """The State Council's breaks, with the weekend days inside them, and its make-up workdays."""
    breaks = frozenset(chinese_calendar.constants.holidays)
    years = {day.year for day in breaks}
    return Calendar(
        country="CN",
        holidays=breaks,
        makeup_workdays=frozenset(chinese_calendar.constants.workdays),
        valid_from=date(min(years), 1, 1),
        valid_through=date(max(years), 12, 31),
        source="State Council notices, from chinesecalendar",
    )


def _united_states(country: str) -> Calendar:
    """Federal holidays, actual and observed; New Year's Day of the year after can be observed in December."""
    years = range(_US_FIRST_YEAR, _US_LAST_YEAR + 2)
    days = holidays.country_holidays("US", years=years)
    return Calendar(
        country=country,
        holidays=frozenset(days),
        makeup_workdays=frozenset(),
        valid_from=date(_US_FIRST_YEAR, 1, 1),
        valid_through=date(_US_LAST_YEAR, 12, 31),
        source="5 U.S.C. 6103, from holidays",
    )


def _tzdata(name: str) -> list[str]:
    return (resources.files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8").splitlines()
