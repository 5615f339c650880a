"""One borrower's month: everything that happened, with the sentence of each decision in both languages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

from decorum_simulation.audit.records import Borrower, Evidence
from decorum_simulation.audit.run import owners_of
from decorum_simulation.report.figures import Figures, money_text

ENTRIES_MAX: Final = 70
_EVENTS: Final = {
    "restriction-changed": "restriction",
    "consent-changed": "wish",
    "external-contact-made": "agency",
    "payment-reversed": "reversal",
    "loan-closed": "closure",
    "promise-opened": "promise",
    "promise-kept": "promise",
    "promise-partly-kept": "promise",
    "promise-broken": "promise",
    "promise-voided": "promise",
    "referral-recorded": "referral",
}
_WORTH: Final = {
    "allowed": 1, "deferred": 4, "denied": 6, "revoked": 25, "text": 2, "call": 3, "said": 8, "payment": 6,
    "promise": 8, "restriction": 5, "agency": 3, "wish": 3,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened."""

    at: datetime
    rank: int
    kind: str
    title: str
    body: str = ""
    body_zh: str = ""


def chosen_borrower(figures: Figures) -> Borrower | None:
    """Whose month shows most: different kinds of things count, many of one kind hardly do."""
    kinds = _kinds_by_borrower(figures.evidence)
    best = max(
        kinds.items(),
        key=lambda item: (sum(_WORTH.get(kind, 1) * min(n, 3) for kind, n in item[1].items() if n), item[0]),
        default=None,
    )
    return figures.evidence.borrowers.get(best[0]) if best else None


def _kinds_by_borrower(evidence: Evidence) -> dict[str, Counter[str]]:
    by_number = {number: b.borrower_id for b in evidence.borrowers.values() for number in b.numbers}
    kinds: dict[str, Counter[str]] = {}

    def note(borrower_id: str | None, kind: str) -> None:
        if borrower_id is not None:
            kinds.setdefault(borrower_id, Counter())[kind] += 1

    for decision in evidence.decisions:
        note(decision.borrower_id, decision.verdict)
    owners = owners_of(evidence)
    for request in evidence.requests:
        owner = owners.get(request.attempt_id)
        note(owner.borrower_id if owner else None, "text" if request.channel == "sms" else "call")
    for item in evidence.inbound:
        note(by_number.get(item.sender), "said")
    for payment in evidence.payments:
        note(payment.borrower_id, "payment")
    for name, kind in _EVENTS.items():
        for _, body in evidence.of_type(name, dict[str, Any]):
            note(body.get("borrower_id"), kind)
    # A month of more than a page is no story.
    return {who: counted for who, counted in kinds.items() if sum(counted.values()) <= ENTRIES_MAX}


def entries_of(evidence: Evidence, borrower: Borrower) -> list[Entry]:
    """The borrower's month in order."""
    entries = [*_decisions(evidence, borrower), *_contacts(evidence, borrower), *_own(evidence, borrower)]
    for name, kind in _EVENTS.items():
        for event, body in evidence.of_type(name, dict[str, Any]):
            if body.get("borrower_id") == borrower.borrower_id:
                entries.append(Entry(at=event.time, rank=0, kind=kind, title=_event_title(name, body)))
    return sorted(entries, key=lambda entry: (entry.at, entry.rank))


def _decisions(evidence: Evidence, borrower: Borrower) -> list[Entry]:
    found = []
    for decision in evidence.decisions:
        if decision.borrower_id == borrower.borrower_id:
            channel = {"sms": "text", "voice": "call"}.get(decision.channel or "", decision.channel or "contact")
            found.append(
                Entry(
                    at=decision.at,
                    rank=1,
                    kind=decision.verdict,
                    title=f"{channel} {decision.verdict}",
                    body=decision.sentence_en or "",
                    body_zh=decision.sentence_zh or "",
                )
            )
    return found


def _contacts(evidence: Evidence, borrower: Borrower) -> list[Entry]:
    found = []
    own = {decision.attempt_id for decision in evidence.decisions if decision.borrower_id == borrower.borrower_id}
    for line in evidence.carrier:
        if line.attempt_id not in own or line.kind in ("accepted", "duplicate"):
            continue
        if line.kind == "request":
            kind, title = ("text", "text sent") if line.channel == "sms" else ("call", "call placed")
            found.append(Entry(at=line.at, rank=2, kind=kind, title=title, body=line.text or ""))
        else:
            title = f"{'text' if line.channel == 'sms' else 'call'}: {line.kind.replace('_', ' ')}"
            found.append(Entry(at=line.at, rank=0, kind="receipt", title=title))
    return found


def _own(evidence: Evidence, borrower: Borrower) -> list[Entry]:
    others = {n for b in evidence.borrowers.values() if b.borrower_id != borrower.borrower_id for n in b.numbers}
    who = "somebody with this number" if others & set(borrower.numbers) else "the borrower"
    found = [
        Entry(
            at=item.at,
            rank=0,
            kind="said",
            title=f"{who} {'pressed' if item.kind == 'keypress' else 'wrote'}",
            body=f"key {item.text}" if item.kind == "keypress" else item.text,
        )
        for item in evidence.inbound
        if item.sender in borrower.numbers
    ]
    for payment in evidence.payments:
        if payment.borrower_id == borrower.borrower_id and payment.known_at is not None:
            back = " (back-dated)" if payment.known_at > payment.at else ""
            title = f"paid {money_text(payment.amount_minor, payment.currency)} on {payment.loan_id}{back}"
            found.append(Entry(at=payment.known_at, rank=0, kind="payment", title=title))
    return found


def _event_title(name: str, body: dict[str, Any]) -> str:
    match name:
        case "restriction-changed":
            return f"restriction: {body['kind']} {'begins' if body['active'] else 'ends'}"
        case "consent-changed":
            return f"wish: {body['kind'].replace('_', ' ')} {body.get('channel') or ''}".strip()
        case "external-contact-made":
            return f"an agency made a contact: {body['channel']}, {body['result'].replace('_', ' ')}"
        case "promise-opened":
            return f"promise of {money_text(body['promised_minor'], body['currency'])} by {body['promised_on']}"
        case "referral-recorded":
            return f"handed over to: {body['target']}"
        case _:
            return name.replace("-", " ")


def timeline_html(figures: Figures) -> str:
    """The section's content."""
    borrower = chosen_borrower(figures)
    if borrower is None:
        return "<p class='quiet'>Nobody was contacted.</p>"
    zone = ZoneInfo(borrower.zones[0])
    rows, last_day = [], ""
    for entry in entries_of(figures.evidence, borrower):
        local = entry.at.astimezone(zone)
        day = f"{local:%a %d %b}"
        heading = f"<h4>{day}</h4>" if day != last_day else ""
        last_day = day
        body = f"<p>{escape(entry.body)}</p>" if entry.body else ""
        body += f"<p lang='zh'>{escape(entry.body_zh)}</p>" if entry.body_zh else ""
        rows.append(
            f"{heading}<div class='entry {entry.kind}'><time>{local:%H:%M}</time><i></i>"
            f"<div><b>{escape(entry.title)}</b>{body}</div></div>"
        )
    who = (
        f"<p class='who'>{escape(borrower.borrower_id)} · {escape(borrower.region)} · "
        f"{escape(', '.join(borrower.zones))} · {len(borrower.loans)} loan(s)</p>"
    )
    return who + f"<div class='timeline'>{''.join(rows)}</div>"
