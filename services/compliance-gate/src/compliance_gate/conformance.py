"""Runs conformance cases: one situation a line, with the verdict that a rule's own text gives.

Cases are read strictly. A field or a value that isn't known makes a case invalid, which counts as failed: a misread
situation must not pass by luck. A case that names a pack which isn't installed is skipped, visibly.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from compliance_gate.adapters.calendars import known_zones
from compliance_gate.domain import Attempt, Decision, Facts, decide
from compliance_gate.domain.facts import (
    Channel,
    Consent,
    InboundMessage,
    Inconvenience,
    LoanFacts,
    OptOut,
    Party,
    PastContact,
    Restriction,
    RestrictionKind,
    Result,
    Weekday,
)
from compliance_gate.domain.policy import Policy
from compliance_gate.domain.rules import Role
from compliance_gate.policy.book import PolicyBook
from compliance_gate.sentences import sentence

Instant = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Expectation = Literal["permitted", "blocked", "review"]
Outcome = Literal["passed", "failed", "skipped"]

_VOICE_RESULTS = frozenset(
    {"no_answer", "voicemail", "busy", "not_in_service", "dropped", "conversation", "wrong_person"}
)
_MESSAGE_RESULTS = frozenset({"sent", "delivered", "failed", "replied"})
_UNNAMED = "unnamed"


class CaseRestriction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A restriction of a case; `loans` absent is all of them."""

    kind: RestrictionKind
    loans: tuple[Name, ...] | None = None
    since: Instant | None = msgspec.field(name="from", default=None)


class CaseConsent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A consent given directly to the one who collects."""

    kind: Literal["call_back", "outside_hours", "channel"]
    channel: Channel | None = None
    loans: tuple[Name, ...] | None = None
    since: Instant = msgspec.field(name="from")
    until: Instant | None = None


class CaseOptOut(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="opt_out"
):
    """A channel, or one number on it, that must not be used."""

    channel: Channel
    number: Name | None = None
    since: Instant | None = msgspec.field(name="from", default=None)


class CaseInconvenience(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="inconvenient"
):
    """Times, and perhaps a place, that the borrower called inconvenient, in local time."""

    days: tuple[Weekday, ...] | None = None
    start: str | None = None
    end: str | None = None
    place: Literal["home", "work"] | None = None
    since: Instant | None = msgspec.field(name="from", default=None)
    until: Instant | None = None


class CaseBorrower(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known about the borrower of a case."""

    zones: tuple[Name, ...]
    region: Annotated[str, Meta(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
    restrictions: tuple[CaseRestriction, ...] = ()
    consents: tuple[CaseConsent, ...] = ()
    preferences: tuple[CaseOptOut | CaseInconvenience, ...] = ()


class CaseContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A past contact of a case."""

    at: Instant
    channel: Channel
    direction: Literal["outbound", "inbound"] = "outbound"
    result: Result | None = None
    loans: tuple[Name, ...] = ()
    discussed: tuple[Name, ...] | None = None
    number: Name | None = None
    by: Name = "lender"
    party: Party = "borrower"
    id: Name | None = None
    reply_to: Name | None = None


class CaseAttempt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contact that a case asks about: a history row without a result."""

    at: Instant
    channel: Channel
    direction: Literal["outbound"] = "outbound"
    loans: tuple[Name, ...] = ()
    number: Name | None = None
    by: Name = "lender"
    party: Party = "borrower"
    id: Name | None = None
    reply_to: Name | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a case file."""

    id: Name
    source: str
    packs: Annotated[tuple[Name, ...], Meta(min_length=1)]
    role: Role
    borrower: CaseBorrower
    history: tuple[CaseContact, ...] = ()
    attempt: CaseAttempt
    expect: Expectation


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate said about one case. A case without a verdict was skipped or is invalid; the sentences say why.

    A permission with a warning is `permitted` here, and satisfies `review` too; the warning is among the rules.
    """

    id: str
    verdict: str | None
    mapped: str | None
    expect: str | None
    result: Outcome
    rules: tuple[dict[str, str], ...]
    next_legal_instant: datetime | None
    sentence_en: str
    sentence_zh: str


class _PackNames(msgspec.Struct):
    packs: tuple[str, ...]
    id: str = ""


class InvalidCase(ValueError):
    """A case that says something which isn't known or can't be."""


def run_file(path: Path, book: PolicyBook) -> Iterator[CaseResult]:
    """The result of every case in a file of JSON Lines, in order. OSError or UnicodeError if it can't be read."""
    text = path.read_text(encoding="utf-8-sig")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield run_line(line, number, book)


def run_line(line: str, number: int, book: PolicyBook) -> CaseResult:
    """The result of one case."""
    data = line.encode()
    try:
        named = msgspec.json.decode(data, type=_PackNames)
    except msgspec.DecodeError as error:
        return _without_verdict(f"line {number}", "failed", f"invalid: {error}")
    missing = [name for name in named.packs if name not in book.names]
    if missing:
        return _without_verdict(named.id or f"line {number}", "skipped", f"pack not installed: {', '.join(missing)}")
    try:
        case = msgspec.json.decode(data, type=Case)
        policy, attempt, facts = situation(case, book)
    except (msgspec.DecodeError, InvalidCase) as error:
        return _without_verdict(named.id or f"line {number}", "failed", f"invalid: {error}")
    decision = decide(attempt, facts, policy, case.attempt.at.astimezone(UTC))
    return _result(case, attempt, policy, decision)


def situation(case: Case, book: PolicyBook) -> tuple[Policy, Attempt, Facts]:
    """The policy, the attempt and the facts that a case describes. Raises InvalidCase."""
    now = case.attempt.at.astimezone(UTC)
    _check(case)
    zones = tuple(sorted(set(case.borrower.zones)))
    policy = book.stack(case.packs, role=case.role, region=case.borrower.region, zones=zones)
    attempt = Attempt(
        attempt_id=case.attempt.id or "attempt",
        submission_number=1,
        borrower_id="borrower",
        channel=case.attempt.channel,
        loans=case.attempt.loans,
        number_key=case.attempt.number or _UNNAMED,
        expires_at=datetime(9999, 12, 31, tzinfo=UTC),
        party=case.attempt.party,
        reply_to=case.attempt.reply_to,
    )
    earlier = [(index, row) for index, row in enumerate(case.history) if row.at.astimezone(UTC) <= now]
    history = [_contact(row, index) for index, row in earlier]
    restrictions, preferences = case.borrower.restrictions, case.borrower.preferences
    facts = Facts(
        borrower_id="borrower",
        lag_seconds=0,
        region=case.borrower.region,
        zones=zones,
        restrictions=tuple(_restriction(each) for each in restrictions),
        consents=tuple(_consent(each) for each in case.borrower.consents),
        opt_outs=tuple(_opt_out(each) for each in preferences if isinstance(each, CaseOptOut)),
        inconveniences=tuple(_inconvenience(each) for each in preferences if isinstance(each, CaseInconvenience)),
        history=tuple(sorted(history, key=lambda row: row.at, reverse=True)),
        inbound=tuple(
            InboundMessage(message_id=row.id, at=row.at.astimezone(UTC), channel=row.channel, number_key=row.number)
            for _, row in earlier
            if row.direction == "inbound" and row.id is not None
        ),
        loans=tuple(
            LoanFacts(loan_id=loan, overdue_minor=1, outstanding_minor=1, currency="XXX", balance_version=1)
            for loan in case.attempt.loans
        ),
    )
    return policy, attempt, facts


def _check(case: Case) -> None:
    """Refuse what decodes and still can't be: unknown zones, results of another channel, references to nothing."""
    for zone in case.borrower.zones:
        if zone not in known_zones():
            raise InvalidCase(f"{zone!r} isn't an IANA zone")
    named = {row.id for row in case.history if row.id is not None}
    for row in case.history:
        if row.result is not None and row.result not in (
            _VOICE_RESULTS if row.channel == "voice" else _MESSAGE_RESULTS
        ):
            raise InvalidCase(f"{row.result!r} isn't a result of channel {row.channel}")
    for reference in (case.attempt.reply_to, *(row.reply_to for row in case.history)):
        if reference is not None and reference not in named:
            raise InvalidCase(f"reply_to {reference!r} names no row")
    if len(named) != sum(row.id is not None for row in case.history):
        raise InvalidCase("an id is given to two rows")


def _contact(row: CaseContact, index: int) -> PastContact:
    return PastContact(
        contact_id=row.id or f"row {index + 1}",
        at=row.at.astimezone(UTC),
        channel=row.channel,
        direction=row.direction,
        result=row.result,
        loans=row.loans,
        discussed=row.discussed,
        number_key=row.number,
        by=row.by,
        party=row.party,
        reply_to=row.reply_to,
    )


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def _instant(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(UTC)


def _restriction(row: CaseRestriction) -> Restriction:
    return Restriction(kind=row.kind, since=_instant(row.since) or _BEGINNING, loans=row.loans or ())


def _consent(row: CaseConsent) -> Consent:
    return Consent(
        kind=row.kind,
        since=row.since.astimezone(UTC),
        channel=row.channel,
        loans=row.loans or (),
        until=_instant(row.until),
    )


def _opt_out(row: CaseOptOut) -> OptOut:
    return OptOut(channel=row.channel, since=_instant(row.since) or _BEGINNING, number_key=row.number)


def _inconvenience(row: CaseInconvenience) -> Inconvenience:
    return Inconvenience(
        days=row.days or (),
        start_minute=_minute(row.start),
        end_minute=_minute(row.end),
        place=row.place,
        since=_instant(row.since),
        until=_instant(row.until),
    )


def _minute(clock: str | None) -> int | None:
    if clock is None:
        return None
    hours, _, minutes = clock.partition(":")
    if not (len(clock) == 5 and hours.isdecimal() and minutes.isdecimal()):
        raise InvalidCase(f"{clock!r} isn't a time like 15:00")
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > 24 * 60:
        raise InvalidCase(f"{clock!r} isn't a time of day")
    return total


def _result(case: Case, attempt: Attempt, policy: Policy, decision: Decision) -> CaseResult:
    verdict, mapped = {
        "Allowed": ("allowed", "permitted"),
        "Deferred": ("deferred", "blocked"),
        "Denied": ("denied", "blocked"),
        "HeldForReview": ("held", "review"),
    }[type(decision).__name__]
    warned = bool(getattr(decision, "warnings", ()))
    agrees = mapped == case.expect or (warned and case.expect == "review")
    return CaseResult(
        id=case.id,
        verdict=verdict,
        mapped=mapped,
        expect=case.expect,
        result="passed" if agrees else "failed",
        rules=tuple(_ruling(ruling.rule_id, ruling.result, dict(ruling.facts)) for ruling in decision.rules),
        next_legal_instant=getattr(decision, "next_legal_instant", None),
        sentence_en=sentence(decision, attempt, policy, "en"),
        sentence_zh=sentence(decision, attempt, policy, "zh"),
    )


def _ruling(rule_id: str, result: str, facts: dict[str, str]) -> dict[str, str]:
    return {"rule_id": rule_id, "result": result, **facts}


def _without_verdict(case_id: str, result: Outcome, reason: str) -> CaseResult:
    return CaseResult(
        id=case_id,
        verdict=None,
        mapped=None,
        expect=None,
        result=result,
        rules=(),
        next_legal_instant=None,
        sentence_en=reason,
        sentence_zh=reason,
    )
