"""The numbers behind table and report, counted from a run's files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from decorum_simulation.audit.calendar import first_unknown_day
from decorum_simulation.audit.records import Evidence, read_run
from decorum_simulation.audit.run import owners_of

COST_MINOR: Final = {("sms", "CNY"): 5, ("sms", "USD"): 1, ("voice", "CNY"): 30, ("voice", "USD"): 4}
"""What a text, and a call that was answered, cost: assumed prices, in minor units of the loans' currency."""
DECISIVE: Final = {"deferred": "deferred", "denied": "blocked", "held": "held"}
"""What a rule said that led to each verdict."""
PROMISE_STATES: Final = ("opened", "kept", "partly-kept", "broken", "voided")
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


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """A revocation's event."""

    reason: str
    attempt_ids: list[str]


class Unused(msgspec.Struct, frozen=True, kw_only=True):
    """The event of a permit that ended without a contact."""

    reason: str


class Reversed(msgspec.Struct, frozen=True, kw_only=True):
    """A reversal's event."""

    payment_id: str


@dataclass(slots=True, kw_only=True)
class Figures:
    """Everything that table and report show."""

    evidence: Evidence
    attempts: dict[str, Submitted] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    by_rule: dict[str, Counter[str]] = field(default_factory=lambda: {verdict: Counter() for verdict in DECISIVE})
    """How often each rule deferred, denied and held."""
    revoked_by: Counter[str] = field(default_factory=Counter)
    unused_by: Counter[str] = field(default_factory=Counter)
    """Permits without a contact, by why; what the carrier refused is among them."""
    unknown: int = 0
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

    @property
    def shared_numbers(self) -> int:
        """Numbers that more than one borrower has."""
        holders = Counter(number for b in self.evidence.borrowers.values() for number in set(b.numbers))
        return sum(1 for count in holders.values() if count > 1)

    def dates(self) -> list[date]:
        """Every date of the run in Shanghai."""
        run = self.evidence.run
        first, end = run.virtual_start.astimezone(SHANGHAI).date(), run.virtual_end.astimezone(SHANGHAI).date()
        return [first + timedelta(days=offset) for offset in range(max((end - first).days, 1))]

    @property
    def title(self) -> str:
        """What was lived."""
        days = len(self.dates())
        length = {1: "A day", 7: "A week", 30: "A month", 31: "A month"}.get(days, f"{days:,} days")
        return f"{length} of a lender"

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
            ("permits revoked before use", f"{self.verdicts['revoked']:,}"),
            ("permits run out unused", f"{self.unused_by['permit_expired']:,}"),
            ("sent", f"{sum(self.sent.values()):,} ({self.sent['sms']:,} texts, {self.sent['voice']:,} calls)"),
            ("refused by the carrier", f"{self.rejected:,}"),
            ("outcome unknown, counted as sent", f"{self.unknown:,}"),
            ("delivered", f"{self.delivered:,}"),
            ("conversations", f"{self.conversations:,}"),
            ("replies and key presses", f"{sum(self.inbound.values()):,}"),
            ("numbers shared by borrowers", f"{self.shared_numbers:,}"),
            ("promises made", f"{self.promises['opened']:,}"),
            ("promises kept", f"{self.promises['kept']:,}"),
            ("promises partly kept", f"{self.promises['partly-kept']:,}"),
            ("promises broken", f"{self.promises['broken']:,}"),
            ("money recovered", _joined(money)),
            ("cost of contacts", _joined(dict(self.cost_minor))),
        ]


def calendar_note(dates: Sequence[date]) -> str | None:
    """What a run has to say that goes beyond the last year whose holidays are announced."""
    unknown = first_unknown_day("CN", dates)
    if unknown is None:
        return None
    return f"No official Chinese calendar of {unknown.year} is known: from {unknown} on nobody in China is contacted."


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
    _count_permit_ends(figures)
    _count_contacts(figures)
    figures.inbound.update(item.kind for item in evidence.inbound)
    _count_promises(figures)
    _count_money(figures)
    return figures


def _count_promises(figures: Figures) -> None:
    """Each promise as made, and under what was said of it last; one that was for nothing due was never made."""
    last: dict[str, tuple[datetime, str]] = {}
    for state in PROMISE_STATES:
        for event, promise in figures.evidence.of_type(f"promise-{state}", PromiseEvent):
            last[promise.promise_id] = max(last.get(promise.promise_id, (event.time, state)), (event.time, state))
    states = Counter(state for _, state in last.values())
    figures.promises = Counter({state: states[state] for state in ("kept", "partly-kept", "broken")})
    figures.promises["opened"] = states.total() - states["voided"]


def _count_decisions(figures: Figures) -> None:
    for decision in figures.evidence.decisions:
        figures.verdicts[decision.verdict] += 1
        if decision.verdict == "allowed" and decision.attempt_id:
            figures.allowed_attempts.add(decision.attempt_id)
        if decision.verdict in DECISIVE:
            rules = figures.by_rule[decision.verdict]
            rules.update({r.rule_id for r in decision.rules or () if r.result == DECISIVE[decision.verdict]})


def _count_permit_ends(figures: Figures) -> None:
    evidence = figures.evidence
    for _, revoked in evidence.of_type("permit-revoked", Revoked):
        figures.revoked_by[revoked.reason] += len(revoked.attempt_ids)
    figures.unused_by.update(unused.reason for _, unused in evidence.of_type("contact-not-made", Unused))
    figures.unknown = len(evidence.events.get("contact-unknown", ()))


def _count_contacts(figures: Figures) -> None:
    evidence = figures.evidence
    owners = owners_of(evidence)
    responses = _responses(evidence)
    for request in evidence.requests:
        attempt_id = request.attempt_id
        if evidence.is_rejected(attempt_id):
            figures.rejected += 1
            continue
        figures.sent[request.channel] += 1
        figures.sent_attempts.add(attempt_id)
        borrower = owners.get(attempt_id)
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
            for who, found in ((request.to, figures.answered_attempts), (borrower.borrower_id, figures.paid_attempts)):
                instants = responses[who]
                if any(request.at <= at <= request.at + RESPONSE for at in instants):
                    found.add(attempt_id)


def _responses(evidence: Evidence) -> defaultdict[str, list[datetime]]:
    """When each borrower paid, and when something came from each number."""
    responses: defaultdict[str, list[datetime]] = defaultdict(list)
    for payment in evidence.payments:
        responses[payment.borrower_id].append(payment.known_at or payment.at)
    for item in evidence.inbound:
        responses[item.sender].append(item.at)
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
