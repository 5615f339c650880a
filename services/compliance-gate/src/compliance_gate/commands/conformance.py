"""Runs conformance cases: one situation a line, with the verdict that a rule's own text gives.

Cases are read strictly. A field or a value that isn't known makes a case invalid, which counts as failed: a misread
situation must not pass by luck. A valid case that names a pack which isn't installed is skipped, visibly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec

from compliance_gate.commands.mistakes import in_words
from compliance_gate.commands.situations import Case, InvalidCase, read_situation
from compliance_gate.domain import Attempt, Decision, decide
from compliance_gate.domain.policy import Policy
from compliance_gate.domain.sentences import sentence
from compliance_gate.policy.book import PolicyBook
from shared.files import as_text, read_argument

Outcome = Literal["passed", "failed", "skipped"]
_TO_THE_MINUTE: Final = re.compile(rb'("\d{4}-\d\d-\d\dT\d\d:\d\d)((?:Z|[+-]\d\d:\d\d)")')


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate said about one case. A case without a verdict was skipped or is invalid; the sentences say why.

    A permission with a warning is `permitted` here, and satisfies `review` too; the warning is among the rules.
    """

    id: str
    verdict: str | None
    mapped: str | None
    expect: str | None
    result: Outcome
    rules: tuple[dict[str, str], ...]
    next_legal_instant: datetime | None
    sentence_en: str
    sentence_zh: str


def read_cases(path: Path) -> list[tuple[int, str]]:
    """The lines of a file of JSON Lines that aren't empty, with their numbers. Raises `Unreadable`."""
    text = as_text(path, read_argument(path))
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def run_file(path: Path, book: PolicyBook) -> Iterator[CaseResult]:
    """The result of every case in a file, in order. Raises `Unreadable`."""
    for number, line in read_cases(path):
        yield run_line(line, number, book)


def run_line(line: str, number: int, book: PolicyBook) -> CaseResult:
    """The result of one case."""
    data = line.encode()
    fields: dict[str, object] = {}
    try:
        fields = msgspec.json.decode(data, type=dict[str, object])
        json.loads(line, object_pairs_hook=_fields_once)
        case = _case(data)
        attempt, facts = read_situation(case)
    except msgspec.ValidationError as error:
        return _without_verdict(fields, number, "failed", f"invalid: {in_words(error, Case)}")
    except (msgspec.DecodeError, InvalidCase, RecursionError) as error:
        return _without_verdict(fields, number, "failed", f"invalid: {error}")
    missing = [name for name in case.packs if name not in book.names]
    if missing:
        return _without_verdict(fields, number, "skipped", f"pack not installed: {', '.join(missing)}")
    policy = book.stack(case.packs, role=case.role, region=facts.region, zones=facts.zones)
    decision = decide(attempt, facts, policy, case.attempt.at.astimezone(UTC))
    return _result(case, attempt, policy, decision)


def _case(data: bytes) -> Case:
    """The case; an instant to the minute, which ISO 8601 knows and the decoder doesn't, gets its seconds."""
    try:
        return msgspec.json.decode(data, type=Case)
    except msgspec.ValidationError:
        completed = _TO_THE_MINUTE.sub(rb"\1:00\2", data)
        if completed == data:
            raise
        return msgspec.json.decode(completed, type=Case)


def _fields_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidCase("a field is given twice")
    return fields


def _result(case: Case, attempt: Attempt, policy: Policy, decision: Decision) -> CaseResult:
    verdict, mapped = {
        "Allowed": ("allowed", "permitted"),
        "Deferred": ("deferred", "blocked"),
        "Denied": ("denied", "blocked"),
        "HeldForReview": ("held", "review"),
    }[type(decision).__name__]
    warned = bool(getattr(decision, "warnings", ()))
    agrees = mapped == case.expect or (warned and case.expect == "review")
    return CaseResult(
        id=case.id,
        verdict=verdict,
        mapped=mapped,
        expect=case.expect,
        result="passed" if agrees else "failed",
        rules=tuple(_ruling(ruling.rule_id, ruling.result, dict(ruling.facts)) for ruling in decision.rules),
        next_legal_instant=getattr(decision, "next_legal_instant", None),
        sentence_en=sentence(decision, attempt, policy, "en"),
        sentence_zh=sentence(decision, attempt, policy, "zh"),
    )


def _ruling(rule_id: str, result: str, facts: dict[str, str]) -> dict[str, str]:
    return {"rule_id": rule_id, "result": result, **facts}


def _without_verdict(fields: dict[str, object], number: int, result: Outcome, reason: str) -> CaseResult:
    """A case that wasn't decided, under its own id where it has one."""
    case_id, expect = fields.get("id"), fields.get("expect")
    return CaseResult(
        id=case_id if isinstance(case_id, str) and case_id else f"line {number}",
        verdict=None,
        mapped=None,
        expect=expect if isinstance(expect, str) else None,
        result=result,
        rules=(),
        next_legal_instant=None,
        sentence_en=reason,
        sentence_zh=reason,
    )
