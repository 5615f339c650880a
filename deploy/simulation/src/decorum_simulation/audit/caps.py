"""How often: the overlay's caps per borrower and Regulation F's per loan, counted in dates of every zone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from decorum_simulation.audit.calendar import country_of_zone
from decorum_simulation.audit.records import Borrower, Evidence
from decorum_simulation.audit.violations import Findings, Kind

CONNECTED: Final = frozenset({"answered", "no_answer", "voicemail", "conversation", "dropped", "unknown"})
"""12 CFR 1006.14(b)(3)(ii): a busy line or one out of service is not counted; what nobody knows is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most `limit` contacts on `channel` (None: all) within `days` dates, today the last."""

    kind: Kind
    channel: str | None
    days: int
    limit: int


CAPS: Final = (
    Cap(kind="cap_sms_day", channel="sms", days=1, limit=1),
    Cap(kind="cap_sms_week", channel="sms", days=7, limit=3),
    Cap(kind="cap_calls_day", channel="voice", days=1, limit=2),
    Cap(kind="cap_calls_week", channel="voice", days=7, limit=6),
    Cap(kind="cap_all_week", channel=None, days=7, limit=5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A contact that counts. `attempt_id` None: made by somebody else and only counted, not judged."""

    at: datetime
    known_at: datetime
    channel: str
    loans: tuple[str, ...]
    result: str
    attempt_id: str | None


class External(msgspec.Struct, frozen=True, kw_only=True):
    """An external contact's event."""

    borrower_id: str
    contact_id: str
    channel: str
    direction: str
    result: str
    made_at: datetime
    loans: list[str]


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt was for."""

    attempt_id: str
    purpose: str
    reply_to: str | None = None


def check_caps(evidence: Evidence, owners: dict[str, Borrower], findings: Findings) -> None:
    """Judge every request that the carrier took against what came before it."""
    for borrower_id, contacts in _contacts(evidence, owners, findings).items():
        borrower = evidence.borrowers[borrower_id]
        for index, contact in enumerate(contacts):
            if contact.attempt_id is None:
                continue
            findings.checked["caps"] += 1
            before = [c for c in contacts[:index] if c.known_at <= contact.at]
            for zone in borrower.zones:
                _check_zone(contact, before, zone, borrower_id, findings)
        if any(country_of_zone(zone) == "US" for zone in borrower.zones):
            _check_calls(borrower, contacts, findings)


def _contacts(evidence: Evidence, owners: dict[str, Borrower], findings: Findings) -> dict[str, list[Contact]]:
    contacts: defaultdict[str, list[Contact]] = defaultdict(list)
    purposes = {s.attempt_id: s for _, s in evidence.of_type("attempt-submitted", Submitted)}
    answered: set[tuple[str, str]] = set()
    for request in evidence.requests:
        borrower, permit = owners.get(request.attempt_id), evidence.permit_of(request)
        if borrower is None or evidence.is_rejected(request.attempt_id):
            continue
        submitted = purposes.get(request.attempt_id)
        if submitted is not None and submitted.purpose in ("reply", "opt_out_confirmation"):
            key = (submitted.reply_to or f"{submitted.purpose} {request.to}", request.channel)
            if key not in answered:
                answered.add(key)
                continue
            findings.add(
                "extra_reply", request.at, "A second answer to one inbound message.", attempt_id=request.attempt_id
            )
        results = [line.kind for line in evidence.outcomes.get(request.attempt_id, [])]
        contacts[borrower.borrower_id].append(
            Contact(
                at=request.at,
                known_at=request.at,
                channel=request.channel,
                loans=tuple(permit.loans or ()) if permit else (),
                result=next((kind for kind in results if kind not in ("accepted", "duplicate")), "unknown"),
                attempt_id=request.attempt_id,
            )
        )
    for event, external in evidence.of_type("external-contact-made", External):
        if external.direction == "outbound" and external.borrower_id in evidence.borrowers:
            contacts[external.borrower_id].append(
                Contact(
                    at=external.made_at,
                    known_at=max(event.time, external.made_at),
                    channel=external.channel,
                    loans=tuple(external.loans),
                    result=external.result,
                    attempt_id=None,
                )
            )
    for rows in contacts.values():
        rows.sort(key=lambda c: (c.at, c.attempt_id is not None, c.attempt_id or ""))
    return contacts


def _check_zone(contact: Contact, before: Iterable[Contact], zone: str, borrower_id: str, findings: Findings) -> None:
    today = _date(contact.at, zone)
    ages = [((today - _date(c.at, zone)).days, c.channel) for c in before]
    for cap in CAPS:
        if cap.channel not in (None, contact.channel):
            continue
        count = 1 + sum(0 <= age < cap.days and cap.channel in (None, channel) for age, channel in ages)
        if count > cap.limit:
            what = {"sms": "text messages", "voice": "calls", None: "contacts"}[cap.channel]
            findings.add(
                cap.kind,
                contact.at,
                f"{count} {what} within {cap.days} date(s) up to {today} in {zone}; at most {cap.limit} are allowed.",
                attempt_id=contact.attempt_id,
                borrower_id=borrower_id,
            )


def _check_calls(borrower: Borrower, contacts: list[Contact], findings: Findings) -> None:
    """12 CFR 1006.14(b)(2): seven calls in seven days, and none within seven days of a conversation, for each debt."""
    calls = [c for c in contacts if c.channel == "voice"]
    for index, call in enumerate(calls):
        if call.attempt_id is None:
            continue
        findings.checked["regulation f"] += 1
        before = [c for c in calls[:index] if c.known_at <= call.at and set(c.loans) & set(call.loans)]
        for zone in borrower.zones:
            today = _date(call.at, zone)
            recent = [c for c in before if 0 <= (today - _date(c.at, zone)).days < 7]
            ids = {"attempt_id": call.attempt_id, "borrower_id": borrower.borrower_id}
            if sum(c.result in CONNECTED for c in recent) >= 7:
                findings.add("seven_in_seven", call.at, f"An eighth call within seven days up to {today}.", **ids)
            if any(c.result in ("answered", "conversation") for c in recent):
                findings.add(
                    "call_after_conversation",
                    call.at,
                    f"A call on {today} within seven days of a conversation about the same loan.",
                    **ids,
                )


def _date(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()
