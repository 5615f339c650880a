"""Hours: the courteous overlay's windows by kind of day, the packs' own, and the times that borrowers ruled out."""

from __future__ import annotations

from datetime import datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from decorum_simulation.audit.calendar import Country, NoCalendar, country_of_zone, day_kind
from decorum_simulation.audit.records import Borrower, CarrierLine, Evidence
from decorum_simulation.audit.violations import Findings

WORKDAY: Final = (time(9), time(20))
WEEKEND: Final = (time(10), time(18))
PACK_HOURS: Final[dict[Country, tuple[time, time]]] = {"CN": (time(8), time(22)), "US": (time(8), time(21))}
"""GB/T 45251 and the bankers' guideline: never 22:00 to 08:00. 12 CFR 1006.6(b)(1): not before 8:00 or after 21:00."""
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a consent event that speaks of times, channels and numbers."""

    borrower_id: str
    consent_id: str
    kind: str
    in_force: bool
    effective_from: datetime
    effective_until: datetime | None = None
    channel: str | None = None
    contact_point_id: str | None = None
    days: list[str] | None = None
    start: str | None = None
    end: str | None = None
    place: str | None = None


def check_hours(evidence: Evidence, owners: dict[str, Borrower], findings: Findings) -> None:
    """Every request lies inside the windows of every zone that something known about the borrower points to."""
    for request in evidence.requests:
        borrower = owners.get(request.attempt_id)
        if borrower is not None:
            findings.checked["hours"] += 1
            _check_request(request, borrower, findings)


def _check_request(request: CarrierLine, borrower: Borrower, findings: Findings) -> None:
    ids = {"attempt_id": request.attempt_id, "borrower_id": borrower.borrower_id}
    countries: set[Country] = set()
    for name, country in ((zone, country_of_zone(zone)) for zone in borrower.zones):
        if country is None:
            findings.add("unknown_zone", request.at, f"The audit knows no rules for {name}.", **ids)
            return
        countries.add(country)
    region = borrower.region.split("-")[0]
    if region in ("CN", "US"):
        countries.add("CN" if region == "CN" else "US")
    for zone in borrower.zones:
        _check_zone(request, zone, countries, findings, ids)


def _check_zone(
    request: CarrierLine, zone: str, countries: set[Country], findings: Findings, ids: dict[str, str]
) -> None:
    local = request.at.astimezone(ZoneInfo(zone))
    spoken = f"{local:%A %Y-%m-%d %H:%M} in {zone}"
    try:
        kinds = {country: day_kind(country, local.date()) for country in sorted(countries)}
    except NoCalendar as error:
        findings.add("no_calendar", request.at, f"A contact was made on {spoken}, but {error}.", **ids)
        return
    closed = [country for country, kind in kinds.items() if kind == "holiday"]
    if closed:
        findings.add("public_holiday", request.at, f"{spoken} is a public holiday ({closed[0]}).", **ids)
        return
    own = country_of_zone(zone)
    assert own is not None
    first, end = WORKDAY if kinds[own] == "workday" else WEEKEND
    if not first <= local.time() < end:
        findings.add("outside_hours", request.at, f"{spoken} is outside {first:%H:%M}-{end:%H:%M}.", **ids)
    for country in sorted(countries):
        first, end = PACK_HOURS[country]
        if not first <= local.time() < end:
            findings.add("outside_pack_hours", request.at, f"{spoken} is outside the law's hours of {country}.", **ids)


def check_inconvenient(evidence: Evidence, owners: dict[str, Borrower], findings: Findings) -> None:
    """No request at a time that the borrower had called inconvenient, once that was known."""
    wishes = [(event, c) for event, c in evidence.of_type("consent-changed", Consent) if c.kind == "inconvenient"]
    for request in evidence.requests:
        borrower = owners.get(request.attempt_id)
        if borrower is None:
            continue
        latest = {
            consent.consent_id: consent
            for event, consent in wishes
            if consent.borrower_id == borrower.borrower_id and event.time <= request.at and consent.place is None
        }
        for consent in latest.values():
            findings.checked["inconvenient times"] += 1
            if consent.in_force and _covers(consent, request.at, borrower.zones):
                findings.add(
                    "inconvenient_time",
                    request.at,
                    "The borrower had called this time inconvenient.",
                    attempt_id=request.attempt_id,
                    borrower_id=borrower.borrower_id,
                )


def _covers(consent: Consent, at: datetime, zones: list[str]) -> bool:
    if not (consent.effective_from <= at and (consent.effective_until is None or at < consent.effective_until)):
        return False
    start, end = consent.start or "00:00", consent.end or "24:00"
    for zone in zones:
        local = at.astimezone(ZoneInfo(zone))
        if (not consent.days or _DAYS[local.weekday()] in consent.days) and start <= f"{local:%H:%M}" < end:
            return True
    return False
