"""Consents that the borrower gave directly to the one who collects, and when they end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from compliance_gate.domain.facts import Attempt, Consent, Facts, PastContact
from compliance_gate.domain.local_days import date_start, local_date


class ConsentSpan(NamedTuple):
    """When a consent is in force: from `start` to before `end`; None is open. A call at `talked_at` still had it."""

    start: datetime
    end: datetime | None
    talked_at: datetime | None

    def covers(self, instant: datetime) -> bool:
        """Whether a contact at `instant` had this consent."""
        return self.start <= instant and (self.end is None or instant < self.end or instant == self.talked_at)


def outside_hours_consented(attempt: Attempt, facts: Facts, now: datetime) -> bool:
    """Whether every loan of the attempt is covered by a consent to contact at hours that are otherwise closed."""
    consents = [
        consent
        for consent in facts.consents
        if consent.kind == "outside_hours"
        and consent.channel in (None, attempt.channel)
        and consent.since <= now
        and (consent.until is None or now < consent.until)
    ]
    return _cover(consents, attempt)


def channel_consented_since(attempt: Attempt, facts: Facts, since: datetime, now: datetime) -> bool:
    """Whether the borrower consented to the attempt's channel after `since`, for all of its loans."""
    consents = [
        consent
        for consent in facts.consents
        if consent.kind == "channel"
        and consent.channel == attempt.channel
        and since < consent.since <= now
        and (consent.until is None or now < consent.until)
    ]
    return _cover(consents, attempt)


def call_back_spans(
    facts: Facts, loan: str, zones: tuple[str, ...], days_max: int | None, now: datetime
) -> list[ConsentSpan]:
    """When calls about `loan` had the borrower's consent to be called again.

    A consent ends at its own end, after `days_max` dates of which the day of receipt is the first (the earliest zone
    counts), or with the next telephone conversation about the loan, whoever started it: 12 CFR 1006.14(b)(3)(i),
    comment 14(b)(3)(i)-2.
    """
    spans = []
    for consent in facts.consents:
        if consent.kind != "call_back" or consent.channel not in (None, "voice") or consent.since > now:
            continue
        if consent.loans and loan not in consent.loans:
            continue
        ends = [] if consent.until is None else [consent.until]
        if days_max is not None:
            ends.extend(date_start(zone, local_date(zone, consent.since) + timedelta(days=days_max)) for zone in zones)
        talked_at = _next_conversation(facts, consent, loan, now)
        if talked_at is not None:
            ends.append(talked_at)
        end = min(ends) if ends else None
        spans.append(ConsentSpan(consent.since, end, talked_at if talked_at == end else None))
    return spans


def may_have_been_conversation(row: PastContact) -> bool:
    """Whether `row` was a telephone conversation, or nobody can tell yet that it wasn't."""
    return row.channel == "voice" and row.result in (None, "conversation")


def loans_talked_about(row: PastContact) -> tuple[str, ...]:
    """The loans that a conversation was about; none means that nobody noted it, which is all of them."""
    return row.discussed or row.loans


def _cover(consents: list[Consent], attempt: Attempt) -> bool:
    """Whether the consents cover every loan of the attempt; one that names none is about all that there are."""
    if any(not consent.loans for consent in consents):
        return True
    return bool(attempt.loans) and all(any(loan in consent.loans for consent in consents) for loan in attempt.loans)


def _next_conversation(facts: Facts, consent: Consent, loan: str, now: datetime) -> datetime | None:
    later = [
        row.at
        for row in facts.history
        if consent.since < row.at <= now
        and row.party == "borrower"
        and may_have_been_conversation(row)
        and (not loans_talked_about(row) or loan in loans_talked_about(row))
    ]
    return min(later) if later else None
