"""Nothing after a known opt-out, and nothing about a loan under a known restriction."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import Final

import msgspec

from decorum_simulation.audit.hours import Consent
from decorum_simulation.audit.records import Borrower, CarrierLine, Evidence
from decorum_simulation.audit.stop_words import STOP_KEY, is_stop
from decorum_simulation.audit.violations import Findings

SAYS_MORE: Final = re.compile(
    r"[¥￥$€£]|\d|欠|逾期|还款|付款|款项|催|\b(?:debt|owe|overdue|past due|pay(?:ment|s|ing)?|balance|collect)\w*",
    re.IGNORECASE,
)
"""What a confirmation of an opt-out has no business to say."""
BANNING: Final = frozenset({"attorney", "cease", "dispute", "bankruptcy", "deceased", "identity_theft", "vulnerable"})
Period = tuple[datetime, datetime | None]


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A number of a borrower."""

    contact_point_id: str
    value: str


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A borrower's profile event."""

    borrower_id: str
    contact_points: list[Point]


class Restriction(msgspec.Struct, frozen=True, kw_only=True):
    """A restriction's event."""

    borrower_id: str
    restriction_id: str
    kind: str
    active: bool
    effective_from: datetime
    effective_until: datetime | None = None
    loans: list[str] | None = None


def check_opt_outs(evidence: Evidence, owners: dict[str, Borrower], findings: Findings) -> None:
    """Stops sent by text or pressed on a call bind their number; wishes told to the lender bind as they say."""
    by_number = _stops_by_number(evidence)
    wishes = _wishes(evidence)
    purposes = {s.attempt_id: s.purpose for _, s in evidence.of_type("attempt-submitted", _Purpose)}
    for request in evidence.requests:
        findings.checked["opt-outs"] += 1
        if purposes.get(request.attempt_id) == "opt_out_confirmation":
            continue  # `check_confirmations` has a look at these
        known_at = by_number.get((request.channel, request.to))
        borrower = owners.get(request.attempt_id)
        if known_at is not None and known_at <= request.at:
            findings.add(
                "after_opt_out",
                request.at,
                f"This number had asked for no more of this channel; that was known at {known_at}.",
                attempt_id=request.attempt_id,
                borrower_id=borrower.borrower_id if borrower else None,
            )
        elif borrower is not None and _wished_away(request, wishes.get(borrower.borrower_id, {})):
            findings.add(
                "after_opt_out",
                request.at,
                "The borrower had asked the lender not to use this channel or number.",
                attempt_id=request.attempt_id,
                borrower_id=borrower.borrower_id,
            )


def check_confirmations(evidence: Evidence, owners: dict[str, Borrower], findings: Findings) -> None:
    """An opt-out may be confirmed once, by a text to the number that it came from, which says that and nothing else.

    Source: 12 CFR part 1006, comment 14(h)(1)-3. What the carrier refused confirmed nothing.
    """
    by_number = _stops_by_number(evidence)
    purposes = {s.attempt_id: s.purpose for _, s in evidence.of_type("attempt-submitted", _Purpose)}
    confirmed: set[tuple[str, str]] = set()
    for request in evidence.requests:
        if purposes.get(request.attempt_id) != "opt_out_confirmation":
            continue
        findings.checked["confirmations"] += 1
        borrower = owners.get(request.attempt_id)
        ids = {"attempt_id": request.attempt_id, "borrower_id": borrower.borrower_id if borrower else None}
        number = (request.channel, request.to)
        known_at = by_number.get(number)
        if known_at is None or known_at > request.at:
            findings.add("extra_confirmation", request.at, "No opt-out of this number and channel was known.", **ids)
        elif number in confirmed:
            findings.add("extra_confirmation", request.at, "The opt-out had been confirmed before.", **ids)
        if not evidence.is_rejected(request.attempt_id):
            confirmed.add(number)
        more = SAYS_MORE.search(request.text or "")
        if more is not None:
            findings.add("confirmation_says_more", request.at, f"It says {more[0]!r} too.", **ids)


class _Purpose(msgspec.Struct, frozen=True, kw_only=True):
    attempt_id: str
    purpose: str


def _stops_by_number(evidence: Evidence) -> dict[tuple[str, str], datetime]:
    stops: dict[tuple[str, str], datetime] = {}
    for item in evidence.inbound:
        stop = item.text.strip() == STOP_KEY if item.kind == "keypress" else is_stop(item.text)
        if stop and item.known_at is not None:
            key = ("voice" if item.kind == "keypress" else "sms", item.sender)
            stops[key] = min(stops.get(key, item.known_at), item.known_at)
    return stops


def _wishes(evidence: Evidence) -> dict[str, dict[tuple[str, str | None], list[Period]]]:
    """By borrower: channel and number (None: the whole channel) with the periods in which they were ruled out."""
    values = {
        (profile.borrower_id, point.contact_point_id): point.value
        for _, profile in evidence.of_type("borrower-updated", Profile)
        for point in profile.contact_points
    }
    latest: dict[str, tuple[datetime, Consent]] = {}
    wishes: defaultdict[str, dict[tuple[str, str | None], list[Period]]] = defaultdict(dict)
    for event, consent in evidence.of_type("consent-changed", Consent):
        if consent.kind != "opt_out" or consent.channel is None:
            continue
        number = values.get((consent.borrower_id, consent.contact_point_id)) if consent.contact_point_id else None
        periods = wishes[consent.borrower_id].setdefault((consent.channel, number), [])
        before = latest.get(consent.consent_id)
        if before is not None and before[1].in_force and not consent.in_force and periods:
            periods[-1] = (periods[-1][0], event.time)
        if consent.in_force:
            periods.append((max(event.time, consent.effective_from), consent.effective_until))
        latest[consent.consent_id] = (event.time, consent)
    return wishes


def _wished_away(request: CarrierLine, wishes: dict[tuple[str, str | None], list[Period]]) -> bool:
    periods = [*wishes.get((request.channel, None), []), *wishes.get((request.channel, request.to), [])]
    return any(_inside(request.at, period) for period in periods)


def check_restrictions(evidence: Evidence, owners: dict[str, Borrower], findings: Findings) -> None:
    """Requests about loans under a restriction that was known and in force."""
    by_borrower: defaultdict[str, list[tuple[datetime, Restriction]]] = defaultdict(list)
    for event, restriction in evidence.of_type("restriction-changed", Restriction):
        if restriction.kind in BANNING:
            by_borrower[restriction.borrower_id].append((event.time, restriction))
    for request in evidence.requests:
        borrower, permit = owners.get(request.attempt_id), evidence.permit_of(request)
        if borrower is None or permit is None:
            continue
        findings.checked["restrictions"] += 1
        latest = {r.restriction_id: r for at, r in by_borrower.get(borrower.borrower_id, []) if at <= request.at}
        for restriction in latest.values():
            covers = restriction.loans is None or set(restriction.loans) & set(permit.loans or ())
            period = (restriction.effective_from, restriction.effective_until)
            if restriction.active and covers and _inside(request.at, period):
                findings.add(
                    "after_restriction",
                    request.at,
                    f"A restriction ({restriction.kind}) was known and in force.",
                    attempt_id=request.attempt_id,
                    borrower_id=borrower.borrower_id,
                    restriction_id=restriction.restriction_id,
                )


def _inside(at: datetime, period: Period) -> bool:
    return period[0] <= at and (period[1] is None or at < period[1])
