"""The kinds of rule that a policy pack can hold, each with its own source.

A rule is data. What it forbids, and with how much force, is here; how it is evaluated is in the module of its kind.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from compliance_gate.domain.calendars import DayClass
from compliance_gate.domain.facts import Channel, Direction, Party, Place, RestrictionKind, Result

Role = Literal["lender", "agency"]
Force = Literal["ban", "presumption", "should_not", "warn"]
Grade = Literal["law", "regulation", "standard", "self_regulation", "guideline", "draft", "tenant_policy"]
Confirmation = Literal["confirmed", "secondary", "unconfirmed"]
Measure = Literal["attempt", "connected", "unconnected", "conversation", "contact"]
CapKey = Literal["borrower", "loan", "number"]
WindowUnit = Literal["minutes", "calendar_day", "rolling_dates", "calendar_week", "calendar_month", "lifetime"]
RuleException = Literal["call_back", "outside_hours", "reply", "opt_out_confirmation", "channel_consent"]
PartyCondition = Literal["always", "reachable", "unreachable"]

Span = tuple[timedelta, timedelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What every rule carries. `force`: a ban and a presumption of violation block, a should-not asks for a person.

    `channels` None means all of them. `zone_aliases` replaces candidate zones where the rule's text counts by a
    national time; `national_zone` is that time, which hours and counts keep to wherever the borrower may be.
    `exceptions` are the situations in which the rule itself lets go.
    """

    rule_id: str
    name_en: str
    name_zh: str
    source: str
    grade: Grade
    confirmation: Confirmation
    force: Force
    channels: frozenset[Channel] | None
    parties: frozenset[Party]
    binds: frozenset[Role]
    exceptions: frozenset[RuleException]
    effective_from: date | None = None
    effective_to: date | None = None
    zone_aliases: tuple[tuple[str, str], ...] = ()
    national_zone: str | None = None
    instead_of: tuple[str, ...] = ()

    def zones_of(self, zones: tuple[str, ...]) -> tuple[str, ...]:
        """The zones in which the rule is evaluated for a borrower with these candidate zones."""
        aliases = dict(self.zone_aliases)
        national = () if self.national_zone is None or not zones else (self.national_zone,)
        return tuple(dict.fromkeys((*(aliases.get(zone, zone) for zone in zones), *national)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRule(Rule):
    """Hours of the day in which contact is allowed, by class of day; a class without hours allows none.

    The rule needs a calendar only if it tells holidays or make-up workdays apart.
    """

    hours: tuple[tuple[DayClass, tuple[Span, ...]], ...]
    uses_calendar: bool

    def spans(self, day_class: DayClass) -> tuple[Span, ...]:
        """The allowed spans of local time on a day of this class."""
        return dict(self.hours)[day_class]


@dataclass(frozen=True, slots=True, kw_only=True)
class CapWindow:
    """Over what a cap counts: a number of minutes or of dates with today the last, a calendar period, or for ever."""

    unit: WindowUnit
    length: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CapRule(Rule):
    """At most `limit` past contacts of `measure` per `key` in `window` may be there when another attempt is made.

    A cool-down is a cap whose limit is one. `counted_results` narrows or widens the measure where the text does;
    `counted_channels` None means the channels that the rule applies to, `counted_parties` likewise.
    """

    measure: Measure
    key: CapKey
    window: CapWindow
    limit: int
    directions: frozenset[Direction] = frozenset({"outbound"})
    counted_results: frozenset[Result] | None = None
    counted_parties: frozenset[Party] | None = None
    not_counted: frozenset[Literal["reply", "opt_out_confirmation"]] = frozenset()
    retracts_wrong_numbers: bool = False
    consent_days_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictionRule(Rule):
    """No contact while a restriction of one of these kinds is in force on a loan that the attempt is about."""

    kinds: frozenset[RestrictionKind]
    places: frozenset[Place] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutRule(Rule):
    """No contact on a channel, or a number, that the person asked not to be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InconvenienceRule(Rule):
    """No contact at a time or place that the borrower called inconvenient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRule(Rule):
    """Contact with anybody but the borrower, under a condition on whether the borrower can be reached."""

    condition: PartyCondition = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongNumberRule(Rule):
    """No contact on a number at which somebody else than the borrower was met last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRule(Rule):
    """No contact at a kind of place whatever the borrower said."""

    places: frozenset[Place] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The deployment's own figures: how long a permit lasts and how long it waits for facts.

    `margin_minutes` is subtracted from the end of the legal window per channel: clocks differ, a call lasts, a carrier
    queues.
    """

    permit_minutes_max: int = 30
    margin_minutes: tuple[tuple[Channel, int], ...] = ()
    facts_lag_seconds_max: int = 300
    missing_facts_retry_minutes: int = 15
    horizon_days: int = 60

    def margin(self, channel: Channel) -> timedelta:
        """How long before the legal window's end a permit for `channel` ends at the latest."""
        return timedelta(minutes=dict(self.margin_minutes).get(channel, 0))
