"""The rules in force for one kind of borrower, ready to be asked often.

A policy is resolved once for (region, zones, role) and shared by every decision of such borrowers. It keeps, per
channel, party and UTC day, what is the same for all of them: legal windows, where the dates begin, what passed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from compliance_gate.domain.calendars import Calendar
from compliance_gate.domain.facts import Channel, Party
from compliance_gate.domain.plan import Plan
from compliance_gate.domain.rules import Role, Rule, Terms
from compliance_gate.domain.verdicts import Ruling

AnyRule = TypeVar("AnyRule", bound=Rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What a policy was resolved from; enough to resolve it again for a replay."""

    packs: tuple[str, ...]
    overlay: str | None
    roles: tuple[tuple[str, Role], ...]
    region: str | None
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotApplicable:
    """A rule that a pack holds and that doesn't bind here, with the reason."""

    rule: Rule
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Policy:
    """Every rule in force, with the calendars that they need and the deployment's terms.

    `policy_hash` covers the content of the packs, the roles and the calendars. `calendars` pairs each country that
    counts (the region's and each zone's) with its calendar, None where there is none. `problem` says why nothing may
    be allowed at all, where no pack covers the borrower.
    """

    policy_hash: str
    stack: Stack
    rules: tuple[Rule, ...]
    not_applicable: tuple[NotApplicable, ...]
    calendars: tuple[tuple[str, Calendar | None], ...]
    terms: Terms
    problem: str | None = None
    _plans: dict[tuple[Channel, Party, datetime], Plan] = field(default_factory=dict)
    _changes: list[tuple[datetime, datetime]] = field(default_factory=list)
    _dates_read: list[list[datetime]] = field(default_factory=list)

    def plan_for(self, channel: Channel, party: Party, now: datetime) -> Plan:
        """The rules for one channel and party that are in force at `now`."""
        since = self._in_force_since(now)
        plan = self._plans.get((channel, party, since))
        if plan is None:
            plan = self._plans[channel, party, since] = self._build_plan(channel, party, now)
        return plan

    def rule(self, rule_id: str) -> Rule | None:
        """The rule of that id, in force or not applicable."""
        for rule in (*self.rules, *(skipped.rule for skipped in self.not_applicable)):
            if rule.rule_id == rule_id:
                return rule
        return None

    def change_instants(self) -> list[datetime]:
        """When the set of rules in force changes."""
        if not self._dates_read:
            self._dates_read.append(self._read_dates())
        return self._dates_read[0]

    def _read_dates(self) -> list[datetime]:
        return sorted(
            {
                instant
                for rule in self.rules
                for instant in (_takes_effect(rule.effective_from), _loses_effect(rule.effective_to))
                if instant is not None
            }
        )

    def _in_force_since(self, now: datetime) -> datetime:
        """When the set of rules that is in force at `now` came to be: an instant, since two can come on one date."""
        if not self._changes:
            self._changes.append((datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)))
        since, until = self._changes[0]
        if not since <= now < until:
            instants = self.change_instants()
            before = [instant for instant in instants if instant <= now]
            later = [instant for instant in instants if instant > now]
            since = before[-1] if before else datetime.min.replace(tzinfo=UTC)
            until = later[0] if later else datetime.max.replace(tzinfo=UTC)
            self._changes[0] = (since, until)
        return since

    def _build_plan(self, channel: Channel, party: Party, now: datetime) -> Plan:
        rules = [
            rule
            for rule in self.rules
            if (rule.channels is None or channel in rule.channels) and party in rule.parties and _in_force(rule, now)
        ]
        skipped = tuple(
            Ruling(rule_id=skipped.rule.rule_id, result="not_applicable", facts=(("reason", skipped.reason),))
            for skipped in self.not_applicable
        )
        return Plan.of(
            rules,
            channel=channel,
            party=party,
            zones=self.stack.zones,
            calendars=self.calendars,
            terms=self.terms,
            not_applicable=skipped,
        )


def _in_force(rule: Rule, now: datetime) -> bool:
    starts, ends = _takes_effect(rule.effective_from), _loses_effect(rule.effective_to)
    return (starts is None or starts <= now) and (ends is None or now < ends)


def _takes_effect(day: date | None) -> datetime | None:
    """The first instant at which `day` has begun anywhere: a rule binds rather early."""
    return None if day is None else datetime.combine(day, time(), UTC) - timedelta(hours=14)


def _loses_effect(day: date | None) -> datetime | None:
    """The instant at which `day`, the last one in force, is over everywhere."""
    return None if day is None else datetime.combine(day, time(), UTC) + timedelta(hours=36)
