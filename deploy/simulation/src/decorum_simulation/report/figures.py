"""The numbers behind table and report, counted from a run's files."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from decorum_simulation.audit.records import Evidence, read_run

COST_MINOR: Final = {("sms", "CNY"): 5, ("sms", "USD"): 1, ("voice", "CNY"): 30, ("voice", "USD"): 4}
"""What a text, and a call that was answered, cost: assumed prices, in minor units of the loans' currency."""
RESPONSE: Final = timedelta(days=3)
SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
_SYMBOLS: Final = {"CNY": "¥", "USD": "$"}


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a submission that the report counts."""

    attempt_id: str
    borrower_id: str
    purpose: str
    currency: str
    risk_grade: str


class PromiseEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A promise's event."""

    promise_id: str


class Reversed(msgspec.Struct, frozen=True, kw_only=True):
    """A reversal's event."""

    payment_id: str


@dataclass(slots=True, kw_only=True)
class Figures:
    """Everything that table and report show."""

    evidence: Evidence
    attempts: dict[str, Submitted] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    deferred_by_rule: Counter[str] = field(default_factory=Counter)
    denied_by_rule: Counter[str] = field(default_factory=Counter)
    allowed_attempts: set[str] = field(default_factory=set)
    sent: Counter[str] = field(default_factory=Counter)
    sent_attempts: set[str] = field(default_factory=set)
    rejected: int = 0
    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    reached_attempts: set[str] = field(default_factory=set)
    answered_attempts: set[str] = field(default_factory=set)
    paid_attempts: set[str] = field(default_factory=set)
    inbound: Counter[str] = field(default_factory=Counter)
    promises: Counter[str] = field(default_factory=Counter)
    hours: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    """Contacts by country, weekday (0 Monday) and local hour."""
    days: Counter[tuple[date, str]] = field(default_factory=Counter)
    """Contacts by date in Shanghai and channel."""
    recovered: dict[str, dict[date, int]] = field(default_factory=dict)
    """Minor units received, by currency and date in Shanghai; reversed payments are left out."""
    overdue: dict[str, dict[date, int]] = field(default_factory=dict)
    """Minor units overdue at the end of each date in Shanghai, by currency."""
    cost_minor: Counter[str] = field(default_factory=Counter)

    @property
    def delivered(self) -> int:
        """Texts that arrived."""
        return self.results[("sms", "delivered")]

    @property
    def conversations(self) -> int:
        """Calls that were answered."""
        return self.results[("voice", "answered")]

    def dates(self) -> list[date]:
        """Every date of the run in Shanghai."""
        run = self.evidence.run
        first, end = run.virtual_start.astimezone(SHANGHAI).date(), run.virtual_end.astimezone(SHANGHAI).date()
        return [first + timedelta(days=offset) for offset in range(max((end - first).days, 1))]

    def summary(self) -> list[tuple[str, str]]:
        """The table's first part."""
        money = {currency: sum(days.values()) for currency, days in self.recovered.items()}
        return [
            ("borrowers", f"{self.evidence.run.borrowers:,}"),
            ("planned (attempts submitted)", f"{len(self.attempts):,}"),
            ("allowed", f"{self.verdicts['allowed']:,}"),
            ("deferred", f"{self.verdicts['deferred']:,}"),
            ("denied", f"{self.verdicts['denied']:,}"),
            ("held for a person", f"{self.verdicts['held']:,}"),
            ("permits revoked", f"{self.verdicts['revoked']:,}"),
            ("sent", f"{sum(self.sent.values()):,} ({self.sent['sms']:,} texts, {self.sent['voice']:,} calls)"),
            ("refused by the carrier", f"{self.rejected:,}"),
            ("delivered", f"{self.delivered:,}"),
            ("conversations", f"{self.conversations:,}"),
            ("replies and key presses", f"{sum(self.inbound.values()):,}"),
            ("promises made", f"{self.promises['opened']:,}"),
            ("promises kept", f"{self.promises['kept']:,}"),
            ("promises partly kept", f"{self.promises['partly-kept']:,}"),
            ("promises broken", f"{self.promises['broken']:,}"),
            ("money recovered", _joined(money)),
            ("cost of contacts", _joined(dict(self.cost_minor))),
        ]


def money_text(amount_minor: int, currency: str) -> str:
    """An amount with its symbol, without cents."""
    return f"{_SYMBOLS.get(currency, currency + ' ')}{round(amount_minor / 100):,}"


def _joined(amounts: dict[str, int]) -> str:
    return " + ".join(money_text(amounts[currency], currency) for currency in sorted(amounts)) or "0"


def read_figures(folder: Path) -> Figures:
    """Read the run in `folder` and count."""
    return count(read_run(folder))


def count(evidence: Evidence) -> Figures:
    """Count everything once."""
    figures = Figures(evidence=evidence)
    for _, submitted in evidence.of_type("attempt-submitted", Submitted):
        figures.attempts[submitted.attempt_id] = submitted
    _count_decisions(figures)
    _count_contacts(figures)
    figures.inbound.update(item.kind for item in evidence.inbound)
    for state in ("opened", "kept", "partly-kept", "broken"):
        ids = {promise.promise_id for _, promise in evidence.of_type(f"promise-{state}", PromiseEvent)}
        figures.promises[state] = len(ids)
    _count_money(figures)
    return figures


def _count_decisions(figures: Figures) -> None:
    for decision in figures.evidence.decisions:
        figures.verdicts[decision.verdict] += 1
        if decision.verdict == "allowed" and decision.attempt_id:
            figures.allowed_attempts.add(decision.attempt_id)
        rules = {"deferred": figures.deferred_by_rule, "denied": figures.denied_by_rule}.get(decision.verdict)
        if rules is not None:
            spoke = {rule.rule_id for rule in decision.rules or () if rule.result in ("blocked", "deferred", "held")}
            rules.update(spoke)


def _count_contacts(figures: Figures) -> None:
    evidence = figures.evidence
    by_number = {number: borrower for borrower in evidence.borrowers.values() for number in borrower.numbers}
    responses = _responses(evidence)
    for request in evidence.requests:
        attempt_id = request.attempt_id
        if evidence.is_rejected(attempt_id):
            figures.rejected += 1
            continue
        figures.sent[request.channel] += 1
        figures.sent_attempts.add(attempt_id)
        borrower = by_number.get(request.to)
        if borrower is not None:
            local = request.at.astimezone(ZoneInfo(borrower.zones[0]))
            figures.hours[(borrower.region.split("-")[0], local.weekday(), local.hour)] += 1
        figures.days[(request.at.astimezone(SHANGHAI).date(), request.channel)] += 1
        kinds = {line.kind for line in evidence.outcomes.get(attempt_id, [])}
        figures.results.update((request.channel, kind) for kind in kinds)
        submitted = figures.attempts.get(attempt_id)
        currency = submitted.currency if submitted else "CNY"
        if request.channel == "sms" or "answered" in kinds:
            figures.cost_minor[currency] += COST_MINOR.get((request.channel, currency), 0)
        if kinds & {"delivered", "answered"} and borrower is not None:
            figures.reached_attempts.add(attempt_id)
            for name, found in (("inbound", figures.answered_attempts), ("payment", figures.paid_attempts)):
                instants = responses[(name, borrower.borrower_id)]
                if any(request.at <= at <= request.at + RESPONSE for at in instants):
                    found.add(attempt_id)


def _responses(evidence: Evidence) -> defaultdict[tuple[str, str], list[datetime]]:
    by_number = {number: borrower for borrower in evidence.borrowers.values() for number in borrower.numbers}
    responses: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
    for payment in evidence.payments:
        responses[("payment", payment.borrower_id)].append(payment.known_at or payment.at)
    for item in evidence.inbound:
        if (borrower := by_number.get(item.sender)) is not None:
            responses[("inbound", borrower.borrower_id)].append(item.at)
    return responses


def _count_money(figures: Figures) -> None:
    evidence = figures.evidence
    taken_back = {reversal.payment_id for _, reversal in evidence.of_type("payment-reversed", Reversed)}
    dates = figures.dates()
    for payment in evidence.payments:
        known_at = payment.known_at
        if known_at is None or known_at <= evidence.run.virtual_start or payment.payment_id in taken_back:
            continue
        days = figures.recovered.setdefault(payment.currency, {})
        day = known_at.astimezone(SHANGHAI).date()
        days[day] = days.get(day, 0) + payment.amount_minor
    changes: defaultdict[str, defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
    for lines in evidence.loans.values():
        before = 0
        for line in lines:
            day = max(line.at.astimezone(SHANGHAI).date(), dates[0])
            changes[line.currency][day] += line.overdue_minor - before
            before = line.overdue_minor
    for currency, by_day in changes.items():
        running, series = 0, {}
        for day in dates:
            running += by_day.get(day, 0)
            series[day] = running
        figures.overdue[currency] = series
