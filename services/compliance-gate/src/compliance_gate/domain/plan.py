"""The rules for one channel and party, with everything that doesn't depend on the borrower worked out once.

A decision's hot path: one look-up of the day, one walk over the past contacts for all caps together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

from compliance_gate.domain.calendars import Calendar
from compliance_gate.domain.caps import counts_row, window_start
from compliance_gate.domain.facts import Channel, Party, PastContact
from compliance_gate.domain.legal_time import legal_windows
from compliance_gate.domain.local_days import Interval, date_start, local_date, utc_midnight
from compliance_gate.domain.rules import (
    CapRule,
    InconvenienceRule,
    OptOutRule,
    PartyRule,
    PlaceRule,
    RestrictionRule,
    Rule,
    Terms,
    WindowRule,
    WrongNumberRule,
)
from compliance_gate.domain.verdicts import Ruling

_DAYS_KEPT_MAX = 512
_REMEMBERED_MAX = 4_096
_DAY = timedelta(days=1)
_NEVER = datetime.max.replace(tzinfo=UTC)
_LOOK_AHEAD = timedelta(days=2)
OneRule = TypeVar("OneRule", bound=Rule)


class Slot(NamedTuple):
    """A part of a UTC day in which no candidate zone changes its date.

    `bounds` says, newest first, from which instant back which caps (as bits) stop counting.
    """

    end: datetime
    midnight: datetime
    bounds: tuple[tuple[datetime, int], ...]


class Day(NamedTuple):
    """One UTC day: its slots, and the legal windows by all rules that meet it, to their true ends."""

    slots: tuple[Slot, ...]
    windows: tuple[Interval, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The rules by kind, and the memory of days and of what each kind of past contact counts towards."""

    channel: Channel
    zones: tuple[str, ...]
    countries: tuple[str, ...]
    calendars: tuple[Calendar | None, ...]
    terms: Terms
    not_applicable: tuple[Ruling, ...]
    windows: tuple[WindowRule, ...]
    caps: tuple[CapRule, ...]
    restrictions: tuple[RestrictionRule, ...]
    opt_outs: tuple[OptOutRule, ...]
    inconveniences: tuple[InconvenienceRule, ...]
    parties: tuple[PartyRule, ...]
    wrong_numbers: tuple[WrongNumberRule, ...]
    places: tuple[PlaceRule, ...]
    windows_passed: tuple[Ruling, ...]
    wishes_passed: tuple[Ruling, ...]
    cap_zones: tuple[tuple[str, ...], ...]
    loan_caps: int
    number_caps: int
    party: Party
    permit_length: timedelta
    minute_caps: tuple[int, ...]
    margin: timedelta
    masks: dict[tuple[str | None, ...], int] = field(default_factory=dict)
    _days: dict[int, Day] = field(default_factory=dict)
    _windows: dict[tuple[int, int], tuple[Interval, ...]] = field(default_factory=dict)
    _cap_passed: dict[tuple[int, int], Ruling] = field(default_factory=dict)
    _all_passed: dict[tuple[int, ...], tuple[Ruling, ...] | None] = field(default_factory=dict)
    _openings: dict[tuple[int, int], datetime] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        rules: Iterable[Rule],
        *,
        channel: Channel,
        party: Party,
        zones: tuple[str, ...],
        calendars: tuple[tuple[str, Calendar | None], ...],
        terms: Terms,
        not_applicable: tuple[Ruling, ...],
    ) -> Plan:
        """The plan of `rules`, which all bind for this channel and party."""
        rules = tuple(rules)
        windows, caps = _kind(rules, WindowRule), _kind(rules, CapRule)
        kinds = (RestrictionRule, OptOutRule, InconvenienceRule, WrongNumberRule, PlaceRule)
        wishes = tuple(rule for kind in kinds for rule in rules if isinstance(rule, kind))
        return cls(
            channel=channel,
            zones=zones,
            countries=tuple(country for country, _ in calendars),
            calendars=tuple(calendar for _, calendar in calendars),
            terms=terms,
            not_applicable=not_applicable,
            windows=windows,
            caps=caps,
            restrictions=_kind(rules, RestrictionRule),
            opt_outs=_kind(rules, OptOutRule),
            inconveniences=_kind(rules, InconvenienceRule),
            parties=_kind(rules, PartyRule),
            wrong_numbers=_kind(rules, WrongNumberRule),
            places=_kind(rules, PlaceRule),
            windows_passed=tuple(Ruling(rule_id=rule.rule_id, result="passed") for rule in windows),
            wishes_passed=tuple(Ruling(rule_id=rule.rule_id, result="passed") for rule in wishes),
            cap_zones=tuple(cap.zones_of(zones) for cap in caps),
            loan_caps=sum(1 << bit for bit, cap in enumerate(caps) if cap.key == "loan"),
            number_caps=sum(1 << bit for bit, cap in enumerate(caps) if cap.key == "number"),
            party=party,
            permit_length=timedelta(minutes=terms.permit_minutes_max),
            minute_caps=tuple(bit for bit, cap in enumerate(caps) if cap.window.unit == "minutes"),
            margin=terms.margin(channel),
        )

    def day(self, utc_ordinal: int) -> Day:
        """What holds on one UTC day."""
        day = self._days.get(utc_ordinal)
        if day is None:
            if len(self._days) >= _DAYS_KEPT_MAX:
                self._days.clear()
            day = self._days[utc_ordinal] = self._work_out(utc_ordinal)
        return day

    def mask(self, row: PastContact) -> int:
        """The caps, as bits, that count a contact of this kind. One bit above them marks a wrong person."""
        kind = (row.channel, row.result, row.direction, row.party)
        mask = self.masks.get(kind)
        if mask is None:
            mask = sum(1 << bit for bit, cap in enumerate(self.caps) if counts_row(cap, row))
            if row.result == "wrong_person":
                mask |= 1 << len(self.caps)
            self.masks[kind] = mask
        return mask

    def cap_passed(self, bit: int, counted: int) -> Ruling:
        """The ruling of a cap that has room."""
        ruling = self._cap_passed.get((bit, counted))
        if ruling is None:
            cap = self.caps[bit]
            found = (("counted", str(counted)), ("limit", str(cap.limit)))
            ruling = self._cap_passed[bit, counted] = Ruling(rule_id=cap.rule_id, result="passed", facts=found)
        return ruling

    def all_passed(self, counts: tuple[int, ...]) -> tuple[Ruling, ...] | None:
        """Every ruling where nothing stands in the way and caps count this much; None where a cap is reached."""
        if counts not in self._all_passed:
            if len(self._all_passed) >= _REMEMBERED_MAX:
                self._all_passed.clear()
            room = all(counted < cap.limit for counted, cap in zip(counts, self.caps, strict=True))
            caps = tuple(self.cap_passed(bit, counted) for bit, counted in enumerate(counts))
            passed = (*self.windows_passed, *self.wishes_passed, *caps, *self.not_applicable)
            self._all_passed[counts] = passed if room else None
        return self._all_passed[counts]

    def windows_on(self, rules: int, utc_ordinal: int) -> tuple[Interval, ...]:
        """The legal windows by these rules (as bits) that meet a UTC day, to their true ends."""
        windows = self._windows.get((rules, utc_ordinal))
        if windows is None:
            if len(self._windows) >= _REMEMBERED_MAX:
                self._windows.clear()
            start = utc_midnight(utc_ordinal)
            chosen = tuple(rule for bit, rule in enumerate(self.windows) if rules >> bit & 1)
            found = legal_windows(chosen, self.zones, self.calendars, start, start + _LOOK_AHEAD)
            windows = tuple(window for window in found if window.start < start + _DAY)
            self._windows[rules, utc_ordinal] = windows
        return windows

    def opens(self, rules: int, now: datetime) -> datetime | None:
        """The first legal instant by these rules (as bits) at or after `now`, within the horizon."""
        utc_ordinal = now.toordinal()
        for window in self.windows_on(rules, utc_ordinal):
            if now < window.end:
                return max(now, window.start)
        known = self._openings.get((rules, utc_ordinal))
        if known is None:
            if len(self._openings) >= _REMEMBERED_MAX:
                self._openings.clear()
            known = self._openings[rules, utc_ordinal] = self._next_opening(rules, utc_ordinal + 1)
        return known if known - now <= timedelta(days=self.terms.horizon_days) else None

    def unknown_calendars(self, now: datetime) -> tuple[str, ...]:
        """The countries whose calendar doesn't know the date of `now` in some zone, if a rule in force needs it."""
        if not any(rule.uses_calendar for rule in self.windows):
            return ()
        days = {local_date(zone, now) for zone in self.zones}
        return tuple(
            country
            for country, calendar in zip(self.countries, self.calendars, strict=True)
            if calendar is None or any(calendar.day_class(day) is None for day in days)
        )

    def _next_opening(self, rules: int, utc_ordinal: int) -> datetime:
        for later in range(utc_ordinal, utc_ordinal + self.terms.horizon_days + 1):
            windows = self.windows_on(rules, later)
            if windows:
                return windows[0].start
        return _NEVER

    def _work_out(self, utc_ordinal: int) -> Day:
        start = utc_midnight(utc_ordinal)
        end = start + timedelta(days=1)
        windows = self.windows_on((1 << len(self.windows)) - 1, utc_ordinal)
        zones = tuple(dict.fromkeys((*self.zones, *(zone for each in self.cap_zones for zone in each))))
        begun = {date_start(zone, local_date(zone, end)) for zone in zones}
        begun |= {date_start(zone, local_date(zone, start) + timedelta(days=1)) for zone in zones}
        edges = sorted(instant for instant in begun if start < instant < end)
        slots = [self._slot(at, until) for at, until in zip([start, *edges], [*edges, end], strict=True)]
        return Day(tuple(slots), windows)

    def _slot(self, at: datetime, until: datetime) -> Slot:
        midnight = min(date_start(zone, local_date(zone, at) + timedelta(days=1)) for zone in self.zones)
        by_start: dict[datetime, int] = {}
        for bit, cap in enumerate(self.caps):
            if cap.window.unit != "minutes":
                begins = window_start(cap.window, self.cap_zones[bit], at)
                by_start[begins] = by_start.get(begins, 0) | 1 << bit
        return Slot(until, midnight, tuple(sorted(by_start.items(), reverse=True)))


def _kind(rules: tuple[Rule, ...], kind: type[OneRule]) -> tuple[OneRule, ...]:
    return tuple(rule for rule in rules if isinstance(rule, kind))
