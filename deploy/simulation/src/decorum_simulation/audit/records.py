"""The files of a run, read into small values. A file that is missing or can't be read ends the audit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

Row = TypeVar("Row")


class UnreadableRun(Exception):
    """A file of the run is missing or malformed; the text names file, line and reason."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Root of all lines; unknown fields are ignored."""


class Run(Line, frozen=True, kw_only=True):
    seed: int
    virtual_start: datetime
    virtual_end: datetime
    packs: list[str]
    overlay: str
    borrowers: int
    wall_seconds: float


class Borrower(Line, frozen=True, kw_only=True):
    borrower_id: str
    loans: list[str]
    zones: list[str]
    region: str
    language: str
    numbers: list[str]


class Event(Line, frozen=True, kw_only=True):
    id: str
    source: str
    type: str
    time: datetime
    data: msgspec.Raw


class LoanLine(Line, frozen=True, kw_only=True):
    at: datetime
    borrower_id: str
    loan_id: str
    overdue_minor: int
    outstanding_minor: int
    currency: str
    closed: bool


class RuleLine(Line, frozen=True, kw_only=True):
    rule_id: str
    result: str


class Decision(Line, frozen=True, kw_only=True):
    at: datetime
    decision_id: str
    attempt_id: str | None
    submission_number: int | None
    borrower_id: str
    borrower_sequence: int
    loans: list[str] | None
    channel: str | None
    verdict: str
    rules: list[RuleLine] | None
    policy_hash: str | None
    permit_expires_at: datetime | None
    next_legal_instant: datetime | None
    sentence_en: str | None
    sentence_zh: str | None


class CarrierLine(Line, frozen=True, kw_only=True):
    at: datetime
    kind: str
    channel: str
    to: str
    attempt_id: str
    message_id: str | None = None
    text: str | None = None
    not_after: datetime | None = None


class Inbound(Line, frozen=True, kw_only=True):
    at: datetime
    id: str
    kind: str
    sender: str = msgspec.field(name="from")
    text: str
    known_at: datetime | None


class Payment(Line, frozen=True, kw_only=True):
    at: datetime
    payment_id: str
    borrower_id: str
    loan_id: str
    amount_minor: int
    currency: str
    known_at: datetime | None


class Posting(Line, frozen=True, kw_only=True):
    at: datetime
    transaction_id: str
    kind: str
    payment_id: str | None
    account: str
    amount_minor: int
    currency: str
    borrower_id: str | None
    loan_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that the run left, indexed by what the checks ask for."""

    run: Run
    borrowers: dict[str, Borrower]
    events: dict[str, list[Event]]
    """By type without topic and version, e.g. `payment-reversed`; in order of time; doubles once."""
    loans: dict[str, list[LoanLine]]
    decisions: list[Decision]
    carrier: list[CarrierLine]
    inbound: list[Inbound]
    payments: list[Payment]
    postings: list[Posting]
    requests: list[CarrierLine]
    outcomes: dict[str, list[CarrierLine]]
    """What the carrier noted about each attempt besides the requests."""
    permits: dict[str, list[Decision]]
    """Allowed decisions by attempt."""

    def of_type(self, name: str, data_type: type[Row]) -> list[tuple[Event, Row]]:
        """Events of one type with their bodies."""
        decoder = msgspec.json.Decoder(data_type)
        return [(event, decoder.decode(event.data)) for event in self.events.get(name, [])]

    def permit_of(self, request: CarrierLine) -> Decision | None:
        """The permit that the request was made under: the last one given before it."""
        given = [permit for permit in self.permits.get(request.attempt_id, []) if permit.at <= request.at]
        return max(given, key=lambda permit: permit.borrower_sequence, default=None)

    def is_rejected(self, attempt_id: str) -> bool:
        """Whether the carrier refused it: then it is no contact."""
        return any(line.kind == "rejected" for line in self.outcomes.get(attempt_id, []))


def read_run(folder: Path) -> Evidence:
    """Read every file of `folder`; raises `UnreadableRun`."""
    run_file = folder / "run.json"
    try:
        run = msgspec.json.decode(run_file.read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        raise UnreadableRun(f"{run_file}: {error}") from error
    carrier = _lines(folder / "carrier.jsonl", CarrierLine)
    decisions = _lines(folder / "decisions.jsonl", Decision)
    loans: defaultdict[str, list[LoanLine]] = defaultdict(list)
    for line in sorted(_lines(folder / "loans.jsonl", LoanLine), key=lambda line: line.at):
        loans[line.loan_id].append(line)
    outcomes: defaultdict[str, list[CarrierLine]] = defaultdict(list)
    for entry in carrier:
        if entry.kind != "request":
            outcomes[entry.attempt_id].append(entry)
    permits: defaultdict[str, list[Decision]] = defaultdict(list)
    for decision in decisions:
        if decision.verdict == "allowed" and decision.attempt_id is not None:
            permits[decision.attempt_id].append(decision)
    requests = sorted((e for e in carrier if e.kind == "request"), key=lambda e: (e.at, e.attempt_id))
    return Evidence(
        run=run,
        borrowers={b.borrower_id: b for b in _lines(folder / "borrowers.jsonl", Borrower)},
        events=_events(_lines(folder / "events.jsonl", Event)),
        loans=dict(loans),
        decisions=decisions,
        carrier=carrier,
        inbound=_lines(folder / "inbound.jsonl", Inbound),
        payments=_lines(folder / "payments.jsonl", Payment),
        postings=_lines(folder / "postings.jsonl", Posting),
        requests=requests,
        outcomes=dict(outcomes),
        permits=dict(permits),
    )


def _events(events: Sequence[Event]) -> dict[str, list[Event]]:
    once: dict[tuple[str, str], Event] = {}
    for event in events:
        once.setdefault((event.source, event.id), event)
    grouped: defaultdict[str, list[Event]] = defaultdict(list)
    for event in sorted(once.values(), key=lambda event: (event.time, event.source, event.id)):
        grouped[event.type.split(".")[1]].append(event)
    return dict(grouped)


def _lines(path: Path, line_type: type[Row]) -> list[Row]:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(line_type)
    rows: list[Row] = []
    try:
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            try:
                rows.append(decoder.decode(line))
            except msgspec.DecodeError as error:
                raise UnreadableRun(f"{path}, line {number}: {error}") from error
    except OSError as error:
        raise UnreadableRun(f"{path}: {error.strerror}") from error
    return rows
