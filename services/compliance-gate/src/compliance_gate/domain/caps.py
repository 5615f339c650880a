"""How often: what a cap counts, whether it is reached, and when it leaves room again.

Counting is by local dates in each candidate zone, today the last of them, and must hold in all zones, so a contact
counts from the earliest zone's start of the window's first date.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import assert_never

from compliance_gate.domain.consents import call_back_spans, loans_talked_about
from compliance_gate.domain.facts import Attempt, Facts, PastContact, Result
from compliance_gate.domain.local_days import date_start, local_date
from compliance_gate.domain.replies import answered_message, is_first_confirmation, uncounted_contacts
from compliance_gate.domain.rules import CapRule, CapWindow, Measure

_ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)

MEASURED_RESULTS: dict[Measure, frozenset[Result] | None] = {
    "attempt": None,
    "connected": frozenset({"conversation", "dropped", "wrong_person", "voicemail", "sent", "delivered", "replied"}),
    "unconnected": frozenset({"no_answer", "busy", "not_in_service", "failed"}),
    "conversation": frozenset({"conversation"}),
    "contact": frozenset({"conversation", "voicemail", "sent", "delivered", "replied"}),
}
"""Which results each measure counts; None is all. A rule whose text counts otherwise lists its own."""


def counts_row(cap: CapRule, row: PastContact) -> bool:
    """Whether `cap` counts a contact of this kind at all, whatever its time, loan and number."""
    results = cap.counted_results if cap.counted_results is not None else MEASURED_RESULTS[cap.measure]
    if cap.measure == "conversation" and row.channel != "voice":
        return False
    return (
        row.direction in cap.directions
        and (cap.channels is None or row.channel in cap.channels)
        and row.party in (cap.counted_parties if cap.counted_parties is not None else cap.parties)
        and (results is None or row.result is None or row.result in results)
    )


def window_start(window: CapWindow, zones: tuple[str, ...], now: datetime) -> datetime:
    """The first instant that `window` counts at `now`: the earliest over the zones."""
    match window.unit:
        case "minutes":
            return now - timedelta(minutes=window.length) + _TICK
        case "lifetime":
            return _ALWAYS
        case "calendar_day" | "rolling_dates" | "calendar_week" | "calendar_month":
            return min(date_start(zone, _first_date(window, local_date(zone, now))) for zone in zones)
        case _:
            assert_never(window.unit)


def window_left(window: CapWindow, zones: tuple[str, ...], at: datetime) -> datetime | None:
    """When a contact made at `at` has left `window` in every zone; None for never."""
    match window.unit:
        case "minutes":
            return at + timedelta(minutes=window.length)
        case "lifetime":
            return None
        case "calendar_day" | "rolling_dates" | "calendar_week" | "calendar_month":
            return max(date_start(zone, _date_after(window, local_date(zone, at))) for zone in zones)
        case _:
            assert_never(window.unit)


def counted_contacts(
    cap: CapRule, attempt: Attempt, facts: Facts, zones: tuple[str, ...], now: datetime, loan: str | None
) -> list[PastContact]:
    """The contacts that `cap` counts at `now` for `attempt`, newest first; for a cap per loan, those about `loan`."""
    since = window_start(cap.window, zones, now)
    rows: Iterable[PastContact] = facts.history
    if cap.key == "number":
        shared = [row for row in facts.number_contacts if row.number_key in (None, attempt.number_key)]
        rows = sorted((*facts.history, *shared), key=lambda row: row.at, reverse=True)
    uncounted = uncounted_contacts(facts, now, cap.not_counted) if cap.not_counted else frozenset()
    wrong = wrong_numbers(facts, now) if cap.retracts_wrong_numbers else frozenset()
    consented = bool(facts.consents) and "call_back" in cap.exceptions
    return [
        row
        for row in rows
        if since <= row.at <= now
        and counts_row(cap, row)
        and _same_key(cap, attempt, row, loan)
        and row.contact_id not in uncounted
        and not (row.number_key in wrong and row.party == "borrower")
        and not (consented and _under_consent(cap, facts, zones, now, row, loan))
    ]


def cap_is_lifted(cap: CapRule, attempt: Attempt, facts: Facts, zones: tuple[str, ...], now: datetime) -> str | None:
    """The exception by which `cap` doesn't apply to `attempt`; None if it does."""
    if "reply" in cap.exceptions and answered_message(attempt, facts, now) is not None:
        return "reply"
    if "opt_out_confirmation" in cap.exceptions and is_first_confirmation(attempt, facts, now):
        return "opt_out_confirmation"
    if cap.key == "loan" or not facts.consents or "call_back" not in cap.exceptions or not attempt.loans:
        return None
    consented = all(_consented(cap, facts, zones, now, loan, now) for loan in attempt.loans)
    return "call_back" if consented else None


def loans_counted(
    cap: CapRule, attempt: Attempt, facts: Facts, zones: tuple[str, ...], now: datetime
) -> tuple[str | None, ...]:
    """The keys by which `cap` counts for `attempt`: its loans without those that a consent covers, or one for all."""
    if cap.key != "loan":
        return (None,)
    if "call_back" not in cap.exceptions or not facts.consents or not attempt.loans:
        return attempt.loans or (None,)
    return tuple(loan for loan in attempt.loans if not _consented(cap, facts, zones, now, loan, now))


def free_again(
    cap: CapRule, attempt: Attempt, facts: Facts, zones: tuple[str, ...], now: datetime
) -> tuple[int, datetime | None, bool]:
    """How many are counted on the fullest key, when all keys have room again, and whether one has none now.

    The instant is `now` where there is room, None where there never will be.
    """
    fullest, free, reached = 0, now, False
    for loan in loans_counted(cap, attempt, facts, zones, now):
        rows = counted_contacts(cap, attempt, facts, zones, now, loan)
        fullest = max(fullest, len(rows))
        if len(rows) < cap.limit:
            continue
        reached = True
        if cap.limit == 0:
            return fullest, None, True
        left = window_left(cap.window, zones, rows[cap.limit - 1].at)
        if left is None:
            return fullest, None, True
        free = max(free, left)
    return fullest, free, reached


def wrong_numbers(facts: Facts, now: datetime) -> frozenset[str]:
    """Numbers at which somebody else was met and never the borrower: calls there were misdirected."""
    met_other: set[str] = set()
    met_borrower: set[str] = set()
    for row in facts.history:
        if row.number_key is None or row.party != "borrower" or row.at > now:
            continue
        if row.result == "wrong_person":
            met_other.add(row.number_key)
        elif row.result == "conversation":
            met_borrower.add(row.number_key)
    return frozenset(met_other - met_borrower)


def _same_key(cap: CapRule, attempt: Attempt, row: PastContact, loan: str | None) -> bool:
    if cap.key == "number":
        return row.number_key is None or attempt.number_key is None or row.number_key == attempt.number_key
    if loan is None:
        return True
    loans = loans_talked_about(row) if cap.measure == "conversation" else (*row.loans, *(row.discussed or ()))
    return not loans or loan in loans


def _under_consent(
    cap: CapRule,
    facts: Facts,
    zones: tuple[str, ...],
    now: datetime,
    row: PastContact,
    loan: str | None,
) -> bool:
    if cap.measure == "conversation" or row.direction == "inbound":
        return False
    loans = (loan,) if loan is not None else row.loans
    return bool(loans) and all(_consented(cap, facts, zones, now, each, row.at) for each in loans)


def _consented(cap: CapRule, facts: Facts, zones: tuple[str, ...], now: datetime, loan: str, at: datetime) -> bool:
    if "call_back" not in cap.exceptions or not facts.consents:
        return False
    spans = call_back_spans(facts, loan, zones, cap.consent_days_max, now)
    if at == now:
        return any(span.start <= at and (span.end is None or at < span.end) for span in spans)
    return any(span.covers(at) for span in spans)


def _first_date(window: CapWindow, today: date) -> date:
    match window.unit:
        case "rolling_dates":
            return today - timedelta(days=window.length - 1)
        case "calendar_week":
            return today - timedelta(days=today.weekday())
        case "calendar_month":
            return today.replace(day=1)
        case _:
            return today


def _date_after(window: CapWindow, day: date) -> date:
    match window.unit:
        case "rolling_dates":
            return day + timedelta(days=window.length)
        case "calendar_week":
            return day + timedelta(days=7 - day.weekday())
        case "calendar_month":
            return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        case _:
            return day + timedelta(days=1)
