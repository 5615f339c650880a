"""A small run in which everything is as it should be, and the means to spoil it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

CHINESE, AMERICAN = "+8613800000001", "+12124560001"
RUN = {
    "seed": 1,
    "virtual_start": "2026-09-14T16:00:00Z",
    "virtual_end": "2026-10-14T16:00:00Z",
    "packs": ["cn", "us-reg-f"],
    "overlay": "courteous",
    "borrowers": 2,
    "wall_seconds": 1.0,
}
Row = dict[str, Any]
SORTED_BY: dict[str, tuple[str, ...]] = {
    "borrowers": ("borrower_id",),
    "events": ("time", "id"),
    "loans": ("at", "loan_id"),
    "decisions": ("at", "decision_id"),
    "carrier": ("at", "attempt_id"),
    "inbound": ("at", "id"),
    "payments": ("at", "payment_id"),
    "postings": ("at", "transaction_id"),
}
"""Every file of lines, and what its lines are sorted by."""


def at(text: str) -> str:
    """An instant given in Shanghai time, `2026-09-16 10:00`, in UTC."""
    local = datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(hours=8)
    return local.isoformat().replace("+00:00", "Z")


def later(instant: str, **by: int) -> str:
    """`instant` moved on."""
    return (datetime.fromisoformat(instant) + timedelta(**by)).isoformat().replace("+00:00", "Z")


@dataclass
class Case:
    """The lines of every file."""

    borrowers: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    loans: list[Row] = field(default_factory=list)
    decisions: list[Row] = field(default_factory=list)
    carrier: list[Row] = field(default_factory=list)
    inbound: list[Row] = field(default_factory=list)
    payments: list[Row] = field(default_factory=list)
    postings: list[Row] = field(default_factory=list)
    left_as_they_are: set[str] = field(default_factory=set)
    _serial: int = 0

    def write(self, folder: Path) -> Path:
        """Write all files into `folder`, sorted, but for those that are `left_as_they_are`."""
        (folder / "run.json").write_text(json.dumps(RUN))
        for name, keys in SORTED_BY.items():
            rows: list[Row] = getattr(self, name)
            if name not in self.left_as_they_are:
                rows = sorted(rows, key=itemgetter(*keys))
            lines = [json.dumps(row, ensure_ascii=False) for row in rows]
            (folder / f"{name}.jsonl").write_text("\n".join(lines))
        return folder

    def event(self, kind: str, when: str, /, **data: Any) -> Row:
        """Publish an event."""
        self._serial += 1
        row: Row = {"specversion": "1.0", "id": f"e{self._serial}", "source": "lender/x", "type": f"x.{kind}.v1"}
        row |= {"time": when, "datacontenttype": "application/json", "data": data}
        self.events.append(row)
        return row

    def contact(
        self,
        when: str,
        *,
        borrower_id: str = "B1",
        channel: str = "sms",
        loans: Sequence[str] = ("B1-L1",),
        text: str = "您有¥1,000.00已逾期3天",
        purpose: str = "demand",
        result: str = "delivered",
        reply_to: str | None = None,
    ) -> str:
        """A contact with everything that belongs to it; its attempt id."""
        self._serial += 1
        attempt_id, number = f"a{self._serial}", CHINESE if borrower_id == "B1" else AMERICAN
        decision = {"attempt_id": attempt_id, "submission_number": 1, "borrower_id": borrower_id}
        submitted = {**decision, "purpose": purpose, "reply_to": reply_to, "submitted_at": when}
        self.event("attempt-submitted", when, **submitted)
        self.decisions.append(
            {
                **decision,
                "at": when,
                "decision_id": f"d{self._serial}",
                "borrower_sequence": self._serial,
                "loans": list(loans),
                "channel": channel,
                "verdict": "allowed",
                "rules": [{"rule_id": "courteous.hours", "result": "passed"}],
                "policy_hash": "p1",
                "permit_expires_at": later(when, minutes=30),
                "next_legal_instant": None,
                "sentence_en": "Allowed.",
                "sentence_zh": "允许。",
            }
        )
        line = {"at": when, "channel": channel, "to": number, "attempt_id": attempt_id, "message_id": f"m{attempt_id}"}
        self.carrier.append({**line, "kind": "request", "text": text, "not_after": later(when, minutes=30)})
        self.carrier.append({**line, "kind": "accepted"})
        self.carrier.append({**line, "kind": result, "at": later(when, minutes=1)})
        self.event("contact-made", when, **decision)
        return attempt_id

    def pay(self, when: str, amount_minor: int, *, payment_id: str = "p1") -> None:
        """A payment, booked."""
        payment = {"payment_id": payment_id, "borrower_id": "B1", "loan_id": "B1-L1", "currency": "CNY"}
        self.payments.append({**payment, "at": when, "amount_minor": amount_minor, "known_at": when})
        line = {**payment, "at": when, "transaction_id": f"t-{payment_id}", "kind": "payment"}
        self.postings.append({**line, "account": "cash", "amount_minor": amount_minor})
        self.postings.append({**line, "account": "receivable:principal", "amount_minor": -amount_minor})

    def owe(self, when: str, loan_id: str, overdue_minor: int, *, outstanding_minor: int | None = None) -> None:
        """The lender's books change."""
        outstanding = overdue_minor if outstanding_minor is None else outstanding_minor
        row = {"at": when, "borrower_id": loan_id[:2], "loan_id": loan_id, "overdue_minor": overdue_minor}
        row |= {"outstanding_minor": outstanding, "currency": "CNY", "closed": outstanding == 0}
        self.loans.append(row)

    @property
    def request(self) -> Row:
        """The first request."""
        return next(row for row in self.carrier if row["kind"] == "request")


def good_case() -> Case:
    """Two borrowers, three contacts on two days, a promise, a payment; nothing is wrong with any of it."""
    case = Case()
    start = at("2026-09-15 00:00")
    for borrower_id, number, zone, region, language in (
        ("B1", CHINESE, "Asia/Shanghai", "CN-SH", "zh"),
        ("B2", AMERICAN, "America/New_York", "US-NY", "en"),
    ):
        row = {"borrower_id": borrower_id, "loans": [f"{borrower_id}-L1"], "zones": [zone], "region": region}
        case.borrowers.append({**row, "language": language, "numbers": [number]})
        points = [{"contact_point_id": f"cp-{borrower_id}", "kind": "mobile", "value": number}]
        case.event("borrower-updated", start, borrower_id=borrower_id, contact_points=points)
    case.borrowers[0]["loans"].append("B1-L2")
    case.owe(start, "B1-L1", 100_000, outstanding_minor=500_000)
    case.owe(start, "B1-L2", 0, outstanding_minor=300_000)
    case.owe(start, "B2-L1", 20_000, outstanding_minor=90_000)
    case.event("loan-registered", start, loan_id="B1-L2", next_due={"principal_minor": 40_000, "interest_minor": 500})
    case.contact(at("2026-09-16 10:00"))
    case.contact(
        at("2026-09-17 22:00"), borrower_id="B2", channel="voice", loans=("B2-L1",), text="$200.00", result="no_answer"
    )
    case.inbound.append(
        {
            "at": at("2026-09-16 11:00"),
            "id": "i1",
            "kind": "sms",
            "from": CHINESE,
            "text": "明天还",
            "known_at": at("2026-09-16 11:00"),
        }
    )
    case.pay(at("2026-09-17 12:00"), 60_000)
    case.owe(at("2026-09-17 12:00"), "B1-L1", 40_000, outstanding_minor=440_000)
    case.contact(at("2026-09-20 19:30"), text="您有¥400.00已逾期7天")
    case.contact(
        at("2026-09-21 10:00"), loans=("B1-L2",), text="温馨提醒：您有¥405.00将于9月24日到期", purpose="reminder"
    )
    return case
