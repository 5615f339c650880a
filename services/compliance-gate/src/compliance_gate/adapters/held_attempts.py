"""Attempts that wait for a person, read from the gate's database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.adapters.evidence import EvidenceRecord
from compliance_gate.domain.sentences import sentence
from compliance_gate.policy.book import PolicyBook, load_packs

_WAITING: Final = """
SELECT d.borrower_id, d.attempt_id, d.submission_number, d.decision_id, d.decided_at, d.deciding_rule, d.evidence
FROM decision d
WHERE d.verdict = 'held' AND ($1::text IS NULL OR d.decision_id = $1)
  AND NOT EXISTS (SELECT 1 FROM held_review h WHERE h.borrower_id = d.borrower_id AND h.decision_id = d.decision_id)
  AND NOT EXISTS (SELECT 1 FROM decision later
                  WHERE later.borrower_id = d.borrower_id AND later.attempt_id = d.attempt_id
                    AND later.submission_number > d.submission_number)
ORDER BY d.decided_at, d.decision_id LIMIT $2
"""
_evidence_decoder: Final = msgspec.json.Decoder(EvidenceRecord)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAttempt:
    """A held decision that nobody answered yet, and which is the attempt's latest."""

    borrower_id: str
    attempt_id: str
    submission_number: int
    decision_id: str
    held_at: datetime
    expires_at: datetime
    zone: str
    """In which the sentences tell the time: the borrower's first, UTC where none is known."""
    channel: str
    deciding_rule: str
    sentence_en: str
    sentence_zh: str


async def held_attempts(engine: AsyncEngine, *, limit: int, decision_id: str | None = None) -> Sequence[HeldAttempt]:
    """Up to `limit` of them, the longest waiting first; or the one of `decision_id`."""
    book = PolicyBook(load_packs(), OfficialCalendars())
    async with engine.connect() as connection:
        rows = (await connection.exec_driver_sql(_WAITING, (decision_id, limit))).all()
    held = []
    for row in rows:
        evidence = _evidence_decoder.decode(row.evidence)
        policy = book.resolve_stack(evidence.stack)
        held.append(
            HeldAttempt(
                borrower_id=row.borrower_id,
                attempt_id=row.attempt_id,
                submission_number=row.submission_number,
                decision_id=row.decision_id,
                held_at=row.decided_at,
                expires_at=evidence.attempt.expires_at,
                zone=policy.stack.zones[0] if policy.stack.zones else "UTC",
                channel=evidence.attempt.channel,
                deciding_rule=row.deciding_rule,
                sentence_en=sentence(evidence.decision, evidence.attempt, policy, "en"),
                sentence_zh=sentence(evidence.decision, evidence.attempt, policy, "zh"),
            )
        )
    return held
