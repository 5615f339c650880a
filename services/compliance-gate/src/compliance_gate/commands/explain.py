"""Explains a decision: the verdict, each rule with its source, when it would be legal, and the week's legal hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from compliance_gate.domain import Attempt, Decision, Facts, Interval, Policy, decide, legal_windows
from compliance_gate.domain.local_days import date_start, local_date
from compliance_gate.domain.sentences import local_time, rule_name, sentence
from compliance_gate.domain.verdicts import Allowed, Deferred, HeldForReview, Ruling

_DAYS_SHOWN = 7
_HALF_HOURS = 48
_COLOURS = {"allowed": "green", "deferred": "yellow", "denied": "red", "held": "magenta"}
_MARKS = {
    "passed": "[green]✓[/]",
    "warned": "[yellow]![/]",
    "held": "[magenta]?[/]",
    "deferred": "[yellow]◷[/]",
    "blocked": "[red]✗[/]",
    "not_applicable": "[dim]–[/]",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision with all that a reader needs to check it."""

    attempt: Attempt
    facts: Facts
    policy: Policy
    at: datetime
    decision: Decision
    week: tuple[Interval, ...]

    @property
    def verdict(self) -> str:
        """The verdict in one word."""
        return {"Allowed": "allowed", "Deferred": "deferred", "Denied": "denied"}.get(
            type(self.decision).__name__, "held"
        )

    @property
    def next_legal_instant(self) -> datetime | None:
        """When it would be allowed, where it isn't now and ever will be."""
        decision = self.decision
        return decision.next_legal_instant if isinstance(decision, Deferred | HeldForReview) else None


def explain(attempt: Attempt, facts: Facts, policy: Policy, at: datetime) -> Explanation:
    """Decide and gather what the decision rests on, with the legal hours of the seven local days from today on."""
    week: tuple[Interval, ...] = ()
    if facts.zones:
        rules = policy.plan_for(attempt.channel, attempt.party, at).windows
        start, end = _week(facts.zones[0], at)
        week = legal_windows(rules, facts.zones, tuple(calendar for _, calendar in policy.calendars), start, end)
    decision = decide(attempt, facts, policy, at)
    return Explanation(attempt=attempt, facts=facts, policy=policy, at=at, decision=decision, week=week)


def to_builtins(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain values for JSON."""
    decision, policy = explanation.decision, explanation.policy
    return {
        "verdict": explanation.verdict,
        "at": explanation.at,
        "sentence_en": sentence(decision, explanation.attempt, policy, "en"),
        "sentence_zh": sentence(decision, explanation.attempt, policy, "zh"),
        "packs": [*policy.stack.packs, *([policy.stack.overlay] if policy.stack.overlay else [])],
        "roles": dict(policy.stack.roles),
        "policy_hash": decision.policy_hash,
        "permit_expires_at": decision.permit_expires_at if isinstance(decision, Allowed) else None,
        "next_legal_instant": explanation.next_legal_instant,
        "rules": [_rule(ruling, policy) for ruling in decision.rules],
        "legal_windows": [{"start": window.start, "end": window.end} for window in explanation.week],
        "calendars": {country: _calendar(explanation, country) for country, _ in policy.calendars},
    }


def draw(explanation: Explanation, console: Console) -> None:
    """Draw the explanation for a terminal."""
    decision, policy = explanation.decision, explanation.policy
    zone = explanation.facts.zones[0] if explanation.facts.zones else "UTC"
    colour = _COLOURS[explanation.verdict]
    console.print(f"[bold {colour}]{explanation.verdict.upper()}[/]  {local_time(explanation.at, zone, 'en')}")
    console.print(escape(sentence(decision, explanation.attempt, policy, "en")))
    console.print(escape(sentence(decision, explanation.attempt, policy, "zh")))
    if explanation.next_legal_instant is not None:
        console.print(f"Next legal instant: [bold]{local_time(explanation.next_legal_instant, zone, 'en')}[/]")
    console.print(_rules_table(decision.rules, policy))
    if explanation.week:
        console.print(_week_table(explanation, zone))
    elif explanation.facts.zones:
        console.print("[yellow]No legal hours in the seven days from today on.[/]")
    overlay = f" + {policy.stack.overlay}" if policy.stack.overlay else ""
    roles = ", ".join(f"{pack} as {role}" for pack, role in policy.stack.roles) or "no pack"
    console.print(f"[dim]Policy {decision.policy_hash[:16]} ({roles}{overlay})[/]")


def _rules_table(rulings: Sequence[Ruling], policy: Policy) -> Table:
    """A row for each rule; its id is whole at any width, because that is what a person looks for in a pack."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column(
        "rule", no_wrap=True, overflow="ignore", min_width=max((len(r.rule_id) for r in rulings), default=0)
    )
    table.add_column("what it says, and its source", overflow="fold")
    for ruling in rulings:
        table.add_row(_MARKS[ruling.result], escape(ruling.rule_id), _said(ruling, policy))
    return table


def _said(ruling: Ruling, policy: Policy) -> Text:
    rule = policy.rule(ruling.rule_id)
    source = f"{rule.source} ({rule.grade}, {rule.confirmation})" if rule is not None else "the platform"
    facts = ", ".join(f"{name} {value}" for name, value in ruling.facts if name != "reason")
    name = rule_name(ruling.rule_id, policy, "en")
    return Text.assemble(f"{name}: {facts}" if facts else name, "\n", (source, "dim"))


def _week_table(explanation: Explanation, zone: str) -> Table:
    """Seven local days in half hours: full where the whole half hour is legal, half where a part of it is."""
    table = Table(box=None, pad_edge=False, header_style="bold", title=f"Legal hours ({zone})", title_justify="left")
    table.add_column("day")
    table.add_column("00    03    06    09    12    15    18    21    ", no_wrap=True)
    first = local_date(zone, explanation.at)
    for offset in range(_DAYS_SHOWN):
        day = first + timedelta(days=offset)
        cells = Text()
        for half_hour in range(_HALF_HOURS):
            opens = datetime(day.year, day.month, day.day, half_hour // 2, half_hour % 2 * 30, tzinfo=ZoneInfo(zone))
            share = _share(
                explanation.week, Interval(opens.astimezone(UTC), opens.astimezone(UTC) + timedelta(minutes=30))
            )
            now = opens.astimezone(UTC) <= explanation.at < opens.astimezone(UTC) + timedelta(minutes=30)
            cells.append(
                "█" if share == 1 else "▄" if share > 0 else "·",
                style="bold red" if now else "green" if share else "dim",
            )
        table.add_row(f"{day:%a %m-%d}", cells)
    return table


def _share(windows: tuple[Interval, ...], part: Interval) -> float:
    inside = sum(
        (max(timedelta(0), min(window.end, part.end) - max(window.start, part.start)) for window in windows),
        timedelta(0),
    )
    return inside / (part.end - part.start)


def _week(zone: str, at: datetime) -> tuple[datetime, datetime]:
    today = local_date(zone, at)
    return date_start(zone, today), date_start(zone, today + timedelta(days=_DAYS_SHOWN))


def _rule(ruling: Ruling, policy: Policy) -> dict[str, Any]:
    rule = policy.rule(ruling.rule_id)
    return {
        "rule_id": ruling.rule_id,
        "result": ruling.result,
        "facts": dict(ruling.facts),
        "until": ruling.until,
        "name_en": rule_name(ruling.rule_id, policy, "en"),
        "name_zh": rule_name(ruling.rule_id, policy, "zh"),
        "source": rule.source if rule is not None else "platform",
        "grade": rule.grade if rule is not None else None,
        "confirmation": rule.confirmation if rule is not None else None,
    }


def _calendar(explanation: Explanation, country: str) -> dict[str, Any] | None:
    calendar = dict(explanation.policy.calendars)[country]
    return None if calendar is None else {"valid_through": calendar.valid_through, "source": calendar.source}
