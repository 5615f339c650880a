"""The one confirmation of an opt-out: on the reply, in its medium, to the number it came from, and about nothing else.

The borrower's silence is the rule and this the exception, so it is narrow: only a text that answers a contact of ours,
which belongs to one borrower however many have the number; only the first stop that is in force; only within a day.
Whether it may be sent, and that it is sent once, is the gate's to say. Source: 12 CFR part 1006, comment 14(h)(1)-3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain import standing
from scheduler.domain.attempts import Attempt
from scheduler.domain.profile import Circumstance, Loan, Profile
from shared import ids
from shared.contracts.types import Purpose

PURPOSE: Final[Purpose] = "opt_out_confirmation"
TEMPLATE: Final = "sms-opt-out-confirmation"
STRATEGY: Final = "opt-out-confirmation"
"""Stands where a strategy's name does: an operator's stop of it stops confirmations."""
LIFETIME: Final = timedelta(hours=24)
"""What quiet hours or an outage put off longer would confirm nothing that anybody remembers."""


def confirmation(profile: Profile, known: Mapping[str, Attempt], zone: str, now: datetime) -> Attempt | None:
    """The confirmation that `profile` asks for at `now`, as it is known already, or new; None where there is none."""
    stop = _first_stop(profile)
    loans = loans_of(profile, stop) if stop is not None else ()
    if stop is None or not loans or not _is_reachable(profile, stop):
        return None
    stopped_at = stop.order[0]
    expires_at = stopped_at + LIFETIME
    attempt_id = ids.derive("attempt", profile.borrower_id, PURPOSE, stop.circumstance_id)
    if attempt_id in known:
        return known[attempt_id]
    if expires_at <= now:
        return None
    return Attempt(
        attempt_id=attempt_id,
        currency=loans[0].currency,
        episode=standing.local_date(stopped_at, zone),
        plan_number=1,
        step_key=f"{STRATEGY}-{attempt_id}",
        strategy=STRATEGY,
        strategy_hash=STRATEGY,
        grade="low",
        purpose=PURPOSE,
        channel="sms",
        template=TEMPLATE,
        planned_for=stopped_at,
        due_at=stopped_at,
        expires_at=expires_at,
        contact_point_id=stop.contact_point_id,
    )


def loans_of(profile: Profile, stop: Circumstance) -> tuple[Loan, ...]:
    """The loans of the contact that the stop answered, of one currency; none where it answered nothing of ours."""
    known = [profile.loans[loan_id] for loan_id in sorted(stop.loans or ()) if loan_id in profile.loans]
    return tuple(loan for loan in known if loan.currency == known[0].currency)


def stop_of(profile: Profile) -> Circumstance:
    """The stop that a wanted confirmation confirms."""
    stop = _first_stop(profile)
    assert stop is not None, "only a stop in force is confirmed"
    return stop


def of_steps(attempts: Collection[Attempt]) -> Collection[Attempt]:
    """Attempts without confirmations, which take no step, and no time from the next one."""
    return [attempt for attempt in attempts if attempt.purpose != PURPOSE]


def _first_stop(profile: Profile) -> Circumstance | None:
    stops = (
        c
        for c in profile.circumstances.values()
        if c.kind == "reply" and c.detail == "stop" and c.channel == "sms" and not standing.is_lifted(profile, c)
    )
    return min(stops, key=lambda c: c.order, default=None)


def _is_reachable(profile: Profile, stop: Circumstance) -> bool:
    """Whether the number that said stop is still the borrower's own."""
    places = profile.person.contact_places if profile.person is not None else ()
    return any(
        p.contact_point_id == stop.contact_point_id and p.active and p.holder == "borrower" and p.kind == "mobile"
        for p in places
    )
