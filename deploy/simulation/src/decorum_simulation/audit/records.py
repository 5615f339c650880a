"""The files of a run, read into small values. A file that is missing or can't be read ends the audit."""

from __future__ import annotations

import codecs
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

Row = TypeVar("Row")
LineRow = TypeVar("LineRow", bound="Line")


class UnreadableRun(Exception):
    """A file of the run is missing or malformed; the text names file, line and reason."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Root of all lines; unknown fields are ignored. A file is sorted by the fields of `sorted_by`."""

    sorted_by: ClassVar[tuple[str, ...]]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    seed: int
    virtual_start: datetime
    virtual_end: datetime
    packs: list[str]
    overlay: str
    borrowers: int
    wall_seconds: float


class Borrower(Line, frozen=True, kw_only=True):
    sorted_by: ClassVar[tuple[str, ...]] = ("borrower_id",)

    borrower_id: str
    loans: list[str]
    zones: list[str]
    region: str
    language: str
    numbers: list[str]


class Event(Line, frozen=True, kw_only=True):
    sorted_by: ClassVar[tuple[str, ...]] = ("time", "id")

    id: str
    source: str
    type: str
    time: datetime
    data: msgspec.Raw


class LoanLine(Line, frozen=True, kw_only=True):
    sorted_by: ClassVar[tuple[str, ...]] = ("at", "loan_id")

    at: datetime
    borrower_id: str
    loan_id: str
    overdue_minor: int
    outstanding_minor: int
    currency: str
    closed: bool


class RuleLine(msgspec.Struct, frozen=True, kw_only=True):
    rule_id: str
    result: str


class Decision(Line, frozen=True, kw_only=True):
    sorted_by: ClassVar[tuple[str, ...]] = ("at", "decision_id")

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
    sorted_by: ClassVar[tuple[str, ...]] = ("at", "attempt_id")

    at: datetime
    kind: str
    channel: str
    to: str
    attempt_id: str
    message_id: str | None = None
    text: str | None = None
    not_after: datetime | None = None


class Inbound(Line, frozen=True, kw_only=True):
    sorted_by: ClassVar[tuple[str, ...]] = ("at", "id")

    at: datetime
    id: str
    kind: str
    sender: str = msgspec.field(name="from")
    text: str
    known_at: datetime | None


class Payment(Line, frozen=True, kw_only=True):
    sorted_by: ClassVar[tuple[str, ...]] = ("at", "payment_id")

    at: datetime
    payment_id: str
    borrower_id: str
    loan_id: str
    amount_minor: int
    currency: str
    known_at: datetime | None


class Posting(Line, frozen=True, kw_only=True):
    sorted_by: ClassVar[tuple[str, ...]] = ("at", "transaction_id")

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
class FileForm:
    """How one file is put together."""

    name: str
    lines: int
    misplaced: tuple[int, ...]
    """Numbers of the lines that belong before the line above them."""
    sorted_by: tuple[str, ...]


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
    forms: list[FileForm]

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
        run = msgspec.json.decode(_read(run_file), type=Run)
    except msgspec.DecodeError as error:
        raise UnreadableRun(f"{run_file}: {error}") from error
    forms: list[FileForm] = []
    carrier = _lines(folder / "carrier.jsonl", CarrierLine, forms)
    decisions = _lines(folder / "decisions.jsonl", Decision, forms)
    loans: defaultdict[str, list[LoanLine]] = defaultdict(list)
    for line in sorted(_lines(folder / "loans.jsonl", LoanLine, forms), key=lambda line: line.at):
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
        borrowers={b.borrower_id: b for b in _lines(folder / "borrowers.jsonl", Borrower, forms)},
        events=_events(_lines(folder / "events.jsonl", Event, forms)),
        loans=dict(loans),
        decisions=decisions,
        carrier=carrier,
        inbound=_lines(folder / "inbound.jsonl", Inbound, forms),
        payments=_lines(folder / "payments.jsonl", Payment, forms),
        postings=_lines(folder / "postings.jsonl", Posting, forms),
        requests=requests,
        outcomes=dict(outcomes),
        permits=dict(permits),
        forms=forms,
    )


def _events(events: Sequence[Event]) -> dict[str, list[Event]]:
    once: dict[tuple[str, str], Event] = {}
    for event in events:
        once.setdefault((event.source, event.id), event)
    grouped: defaultdict[str, list[Event]] = defaultdict(list)
    for event in sorted(once.values(), key=lambda event: (event.time, event.source, event.id)):
        grouped[event.type.split(".")[1]].append(event)
    return dict(grouped)


def _lines(path: Path, line_type: type[LineRow], forms: list[FileForm]) -> list[LineRow]:
    """The lines of a file; `forms` is told how the file is put together."""
    decoder: msgspec.json.Decoder[LineRow] = msgspec.json.Decoder(line_type)
    rows: list[LineRow] = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        try:
            rows.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise UnreadableRun(f"{path}:{number}: {error}") from error
    key: Callable[[Any], Any] = attrgetter(*line_type.sorted_by)
    misplaced = tuple(n for n, (above, row) in enumerate(pairwise(rows), start=2) if key(row) < key(above))
    forms.append(FileForm(name=path.name, lines=len(rows), misplaced=misplaced, sorted_by=line_type.sorted_by))
    return rows


def _read(path: Path) -> bytes:
    """What is in a file, without a byte order mark."""
    try:
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnreadableRun(f"{path}: there is no such file") from error
    except OSError as error:
        raise UnreadableRun(f"{path}: can't be read: {error.strerror}") from error
