"""Every decision and every revocation as plain rows, for an auditor: in order, with a sentence each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from compliance_gate.adapters.calendars import OfficialCalendars
from compliance_gate.adapters.evidence import EvidenceRecord
from compliance_gate.domain.sentences import sentence
from compliance_gate.policy.book import PolicyBook, load_packs
from shared.contracts import PermitRevokedV1, RevocationReason, RuleSpoken

ROWS_MAX: Final = 1_000
"""How many decisions are in memory at once."""

_ORDER: Final = """
SELECT decided_at AS at, decision_id, borrower_id, attempt_id, submission_number, NULL AS revocation_id FROM decision
WHERE $1::text IS NULL OR borrower_id = $1
UNION ALL
SELECT r.revoked_at, p.decision_id, p.borrower_id, p.attempt_id, p.submission_number, r.revocation_id
FROM revocation r JOIN permit p USING (borrower_id, revocation_id)
WHERE $1::text IS NULL OR r.borrower_id = $1
ORDER BY 1, 2, 6 NULLS FIRST
"""
_LATEST: Final = "SELECT evidence FROM decision WHERE borrower_id = $1 ORDER BY decided_at DESC, decision_id LIMIT 1"
_ROWS: Final = """
SELECT k.n, d.decided_at, d.decision_id, d.borrower_sequence, d.verdict, d.message, d.evidence, r.message AS revocation
FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[]) WITH ORDINALITY
     AS k(borrower_id, attempt_id, submission_number, revocation_id, n)
JOIN decision d USING (borrower_id, attempt_id, submission_number)
LEFT JOIN revocation r ON r.borrower_id = k.borrower_id AND r.revocation_id = k.revocation_id
ORDER BY k.n
"""


class _Told(msgspec.Struct):
    """What is read of a decision's message."""

    policy_hash: str
    rules: tuple[RuleSpoken, ...]
    permit_expires_at: datetime | None = None
    next_legal_instant: datetime | None = None


_told_decoder: Final = msgspec.json.Decoder(_Told)
_evidence_decoder: Final = msgspec.json.Decoder(EvidenceRecord)
_revocation_decoder: Final = msgspec.json.Decoder(PermitRevokedV1)

_REASONS: Final[dict[RevocationReason, tuple[str, str]]] = {
    "payment": ("a payment arrived", "收到一笔还款"),
    "opt_out": ("the borrower asked not to be contacted this way", "借款人要求不再以此方式联系"),
    "restriction": ("a restriction is on file", "出现限制联系的事由"),
    "consent": ("what the borrower consents to or finds convenient has changed", "借款人的同意或方便时间有变"),
    "closure": ("the loan was closed", "贷款已结清或关闭"),
    "stop": ("an operator ordered a stop", "操作人员下达了停止指令"),
    "balance": ("the balance has changed", "余额已变动"),
    "contact_point": ("the contact point, the zone or the region has changed", "联系方式、时区或地区已变更"),
    "contact": ("somebody else made a contact", "其他人员已进行联系"),
}


async def latest_zone(engine: AsyncEngine, borrower_id: str) -> str:
    """The zone in which the latest sentence about a borrower tells the time; UTC where none is known."""
    async with engine.connect() as connection:
        evidence = (await connection.exec_driver_sql(_LATEST, (borrower_id,))).scalar_one_or_none()
    zones = () if evidence is None else _evidence_decoder.decode(evidence).stack.zones
    return zones[0] if zones else "UTC"


async def decisions(engine: AsyncEngine, *, borrower_id: str | None = None) -> AsyncIterator[dict[str, Any]]:
    """Every verdict and revoked permit, or one borrower's, sorted by `at` and decision id; instants as UTC ISO 8601.

    A `revoked` line has the permit's decision id, and the sequence number of the revocation.
    """
    book = PolicyBook(load_packs(), OfficialCalendars())  # a stack names its own overlay
    async with engine.connect() as connection:
        order = (await connection.exec_driver_sql(_ORDER, (borrower_id,))).all()
        for start in range(0, len(order), ROWS_MAX):
            for line in await _lines(connection, order[start : start + ROWS_MAX], book):
                yield line


async def _lines(connection: AsyncConnection, keys: Sequence[Any], book: PolicyBook) -> list[dict[str, Any]]:
    columns = ("borrower_id", "attempt_id", "submission_number", "revocation_id")
    arrays = tuple([getattr(key, column) for key in keys] for column in columns)
    return [_line(row, book) for row in await connection.exec_driver_sql(_ROWS, arrays)]


def _line(row: Any, book: PolicyBook) -> dict[str, Any]:
    evidence, told = _evidence_decoder.decode(row.evidence), _told_decoder.decode(row.message)
    attempt = evidence.attempt
    line = {
        "at": _utc(row.decided_at),
        "decision_id": row.decision_id,
        "attempt_id": attempt.attempt_id,
        "submission_number": attempt.submission_number,
        "borrower_id": attempt.borrower_id,
        "borrower_sequence": row.borrower_sequence,
        "loans": list(attempt.loans),
        "channel": attempt.channel,
        "verdict": row.verdict,
        "rules": [{"rule_id": rule.rule_id, "result": rule.result} for rule in told.rules],
        "policy_hash": told.policy_hash,
        "permit_expires_at": _utc(told.permit_expires_at),
        "next_legal_instant": _utc(told.next_legal_instant),
    }
    if row.revocation is not None:
        return line | _revoked(_revocation_decoder.decode(row.revocation))
    policy = book.resolve_stack(evidence.stack)
    return line | {
        "sentence_en": sentence(evidence.decision, attempt, policy, "en"),
        "sentence_zh": sentence(evidence.decision, attempt, policy, "zh"),
    }


def _revoked(message: PermitRevokedV1) -> dict[str, Any]:
    english, chinese = _REASONS[message.reason]
    return {
        "at": _utc(message.revoked_at),
        "borrower_sequence": message.borrower_sequence,
        "verdict": "revoked",
        "rules": [],
        "sentence_en": f"The permit was withdrawn: {english}.",
        "sentence_zh": f"许可已撤回：{chinese}。",
    }


def _utc(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat()
