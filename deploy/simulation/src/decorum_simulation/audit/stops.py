"""Nothing after a known opt-out, and nothing about a loan under a known restriction."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import Final

import msgspec

from decorum_simulation.audit.hours import Consent
from decorum_simulation.audit.records import Borrower, Evidence
from decorum_simulation.audit.stop_words import says_stop
from decorum_simulation.audit.violations import Findings

SAYS_MORE: Final = re.compile(
    r"[¥￥$€£]|\d|欠|逾期|还款|付款|款项|催|\b(?:debt|owe|overdue|past due|pay(?:ment|s|ing)?|balance|collect)\w*",
    re.IGNORECASE,
)
"""What a confirmation of an opt-out has no business to say."""
BANNING: Final = frozenset({"attorney", "cease", "dispute", "bankruptcy", "deceased", "identity_theft", "vulnerable"})
Period = tuple[datetime, datetime | None]
WishPeriod = tuple[str, datetime, datetime | None]
"""The wish's id, and from when until when it holds."""
Wishes = defaultdict[tuple[str, str], list[WishPeriod]]


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
    wishes, of_numbers = _wishes(evidence)
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
        elif borrower is not None and (
            _in_any(request.at, of_numbers.get((request.channel, request.to), []))
            or _in_any(request.at, wishes.get((borrower.borrower_id, request.channel), []))
        ):
            findings.add(
                "after_opt_out",
                request.at,
                "Somebody who has this number had asked the lender not to use it, or the borrower not this channel.",
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
        if says_stop(item) and item.known_at is not None:
            key = ("voice" if item.kind == "keypress" else "sms", item.sender)
            stops[key] = min(stops.get(key, item.known_at), item.known_at)
    return stops


def values_of_points(evidence: Evidence) -> dict[tuple[str, str], str]:
    """The number behind each contact point of a borrower."""
    return {
        (profile.borrower_id, point.contact_point_id): point.value
        for _, profile in evidence.of_type("borrower-updated", Profile)
        for point in profile.contact_points
    }


def _wishes(evidence: Evidence) -> tuple[Wishes, Wishes]:
    """When channels were ruled out: by (borrower, channel), and by (channel, number), whoever asked for it.

    A number is shared by everybody who has it, so that what one of them asks for it binds it for all.
    """
    values = values_of_points(evidence)
    in_force: dict[str, bool] = {}
    whole: Wishes = defaultdict(list)
    of_numbers: Wishes = defaultdict(list)
    for event, consent in evidence.of_type("consent-changed", Consent):
        if consent.kind != "opt_out" or consent.channel is None:
            continue
        periods = whole[(consent.borrower_id, consent.channel)]
        if consent.contact_point_id:
            periods = of_numbers[(consent.channel, values.get((consent.borrower_id, consent.contact_point_id), ""))]
        own = next((period for period in reversed(periods) if period[0] == consent.consent_id), None)
        if in_force.get(consent.consent_id) and not consent.in_force and own is not None:
            periods[periods.index(own)] = (own[0], own[1], event.time)
        if consent.in_force:
            periods.append((consent.consent_id, max(event.time, consent.effective_from), consent.effective_until))
        in_force[consent.consent_id] = consent.in_force
    return whole, of_numbers


def _in_any(at: datetime, periods: list[WishPeriod]) -> bool:
    return any(_inside(at, (start, end)) for _, start, end in periods)


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
