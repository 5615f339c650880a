"""Decisions: one for every submission, each with the rules that spoke, its policy, and a sentence in two languages."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from decorum_simulation.audit.records import Decision, Evidence
from decorum_simulation.audit.violations import Findings

VERDICTS: Final = frozenset({"allowed", "deferred", "denied", "held", "revoked"})


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A submission's event."""

    attempt_id: str
    submission_number: int
    submitted_at: object


def check_decisions(evidence: Evidence, findings: Findings) -> None:
    """Completeness of each line, one decision per submission, one sequence number per decision of a borrower."""
    decided: Counter[tuple[str | None, int | None]] = Counter()
    for decision in evidence.decisions:
        findings.checked["decisions"] += 1
        missing = _missing(decision)
        if missing:
            findings.add(
                "decision_incomplete",
                decision.at,
                f"This decision has no {', '.join(missing)}.",
                decision_id=decision.decision_id,
                attempt_id=decision.attempt_id,
            )
        if decision.verdict != "revoked":
            decided[(decision.attempt_id, decision.submission_number)] += 1
    for (attempt_id, number), count in decided.items():
        if count > 1:
            findings.add(
                "decision_twice", None, f"Submission {number} was decided {count} times.", attempt_id=attempt_id
            )
    for event, submission in evidence.of_type("attempt-submitted", Submission):
        if (submission.attempt_id, submission.submission_number) not in decided:
            findings.add(
                "decision_missing",
                event.time,
                f"Submission {submission.submission_number} was never decided.",
                attempt_id=submission.attempt_id,
            )


def _missing(decision: Decision) -> list[str]:
    missing = [
        name
        for name, value in (
            ("English sentence", decision.sentence_en),
            ("Chinese sentence", decision.sentence_zh),
        )
        if not value
    ]
    if decision.verdict not in VERDICTS:
        missing.append("known verdict")
    if decision.verdict == "revoked":
        return missing
    if not decision.rules:
        missing.append("rules")
    if not decision.policy_hash:
        missing.append("policy hash")
    if not decision.loans:
        missing.append("loans")
    if not decision.attempt_id or decision.submission_number is None:
        missing.append("submission")
    if decision.verdict == "allowed" and (
        decision.permit_expires_at is None or decision.permit_expires_at <= decision.at
    ):
        missing.append("permit in the future")
    return missing
