"""Situations as case files write them: one borrower, what happened so far, and the contact that is asked about.

They are read strictly: an unknown field or value is refused, for a misread situation must not pass by luck.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from compliance_gate.adapters.calendars import known_zones, zone_countries
from compliance_gate.domain import Attempt, Facts
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
from compliance_gate.domain.rules import Role

Instant = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Expectation = Literal["permitted", "blocked", "review"]

_VOICE_RESULTS = frozenset(
    {"no_answer", "voicemail", "busy", "not_in_service", "dropped", "conversation", "wrong_person"}
)
_MESSAGE_RESULTS = frozenset({"sent", "delivered", "failed", "replied"})
_COUNTRIES = frozenset({*zone_countries().values(), "BV", "HM"})  # the last two have no zone of their own
_MARKS = re.compile(r"[\s().\-]")
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(2200, 1, 1, tzinfo=UTC)


class CaseRestriction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A restriction of a case; `loans` absent is all of them."""

    kind: RestrictionKind
    loans: tuple[Name, ...] | None = None
    since: Instant | None = msgspec.field(name="from", default=None)


class CaseConsent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A consent given directly to the one who collects; `loans` absent is all of them, an empty list is none."""

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
    """The contact that a case asks about: a history row without a result. One without a number is put off."""

    at: Instant
    channel: Channel
    direction: Literal["outbound"] = "outbound"
    loans: tuple[Name, ...] = ()
    number: Name | None = None
    by: Name = "lender"
    party: Party = "borrower"
    id: Name | None = None
    reply_to: Name | None = None


class Situation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A borrower, what happened so far, and the contact that is asked about.

    Without `packs` those of the borrower's region and zones are in force, with the tenant's overlay; without `role`
    the tenant's.
    """

    id: Name = "situation"
    source: str = ""
    packs: tuple[Name, ...] = ()
    role: Role | None = None
    borrower: CaseBorrower
    history: tuple[CaseContact, ...] = ()
    attempt: CaseAttempt


class Case(Situation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a case file: a situation with the verdict that the rule's own text gives."""

    id: Name
    packs: Annotated[tuple[Name, ...], Meta(min_length=1)]
    role: Role
    expect: Expectation


class InvalidCase(ValueError):
    """A case that says something which isn't known or can't be."""


def read_situation(case: Situation) -> tuple[Attempt, Facts]:
    """The attempt and the facts that a situation describes. Raises InvalidCase."""
    now = _utc(case.attempt.at)
    _check(case, now)
    zones = tuple(sorted(set(case.borrower.zones)))
    attempt = Attempt(
        attempt_id=case.attempt.id or "attempt",
        submission_number=1,
        borrower_id="borrower",
        channel=case.attempt.channel,
        loans=case.attempt.loans,
        number_key=_number(case.attempt.number),
        expires_at=datetime(9999, 12, 31, tzinfo=UTC),
        party=case.attempt.party,
        reply_to=case.attempt.reply_to,
    )
    earlier = [(index, row) for index, row in enumerate(case.history) if _utc(row.at) <= now]
    history = [_contact(row, index) for index, row in earlier]
    restrictions, preferences = case.borrower.restrictions, case.borrower.preferences
    facts = Facts(
        borrower_id="borrower",
        lag_seconds=0,
        region=case.borrower.region,
        zones=zones,
        restrictions=tuple(_restriction(each) for each in restrictions),
        consents=tuple(_consent(each) for each in case.borrower.consents if each.loans != ()),
        opt_outs=tuple(_opt_out(each) for each in preferences if isinstance(each, CaseOptOut)),
        inconveniences=tuple(_inconvenience(each) for each in preferences if isinstance(each, CaseInconvenience)),
        history=tuple(sorted(history, key=lambda row: row.at, reverse=True)),
        inbound=tuple(
            InboundMessage(
                message_id=row.id, at=_utc(row.at), channel=row.channel, number_key=_number(row.number), party=row.party
            )
            for _, row in earlier
            if row.direction == "inbound" and row.id is not None
        ),
        loans=tuple(
            LoanFacts(loan_id=loan, overdue_minor=1, outstanding_minor=1, currency="XXX", balance_version=1)
            for loan in case.attempt.loans
        ),
    )
    return attempt, facts


def _check(case: Situation, now: datetime) -> None:
    """Refuse what decodes and still can't be: unknown zones, results of another channel, references to nothing."""
    if not _BEGINNING < now < _END:
        raise InvalidCase(f"the attempt isn't between {_BEGINNING.year} and {_END.year}")
    for zone in case.borrower.zones:
        if zone not in known_zones():
            raise InvalidCase(f"{zone!r} isn't an IANA zone")
    if case.borrower.region[:2] not in _COUNTRIES:
        raise InvalidCase(f"{case.borrower.region!r} isn't in a country of ISO 3166-1")
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
        at=_utc(row.at),
        channel=row.channel,
        direction=row.direction,
        result=row.result,
        loans=row.loans,
        discussed=row.discussed,
        number_key=_number(row.number),
        by=row.by,
        party=row.party,
        reply_to=row.reply_to,
    )


def _utc(instant: datetime) -> datetime:
    """The same instant in UTC; what lies before or after all that an attempt can see is moved to the edge."""
    naive = instant.replace(tzinfo=UTC)
    if not _BEGINNING < naive < _END:
        return _BEGINNING if naive < _END else _END
    return instant.astimezone(UTC)


def _instant(instant: datetime | None) -> datetime | None:
    return None if instant is None else _utc(instant)


def _restriction(row: CaseRestriction) -> Restriction:
    return Restriction(kind=row.kind, since=_instant(row.since) or _BEGINNING, loans=row.loans or ())


def _consent(row: CaseConsent) -> Consent:
    return Consent(
        kind=row.kind,
        since=_utc(row.since),
        channel=row.channel,
        loans=row.loans or (),
        until=_instant(row.until),
    )


def _opt_out(row: CaseOptOut) -> OptOut:
    return OptOut(channel=row.channel, since=_instant(row.since) or _BEGINNING, number_key=_number(row.number))


def _inconvenience(row: CaseInconvenience) -> Inconvenience:
    return Inconvenience(
        days=row.days or (),
        start_minute=_minute(row.start),
        end_minute=_minute(row.end),
        place=row.place,
        since=_instant(row.since),
        until=_instant(row.until),
    )


def _number(text: str | None) -> str | None:
    """A telephone number without the marks that people set between its digits; any other address as it is."""
    digits = None if text is None else _MARKS.sub("", text)
    return digits if digits is not None and digits.removeprefix("+").isdecimal() else text


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
