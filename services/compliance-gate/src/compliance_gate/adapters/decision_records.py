"""Decisions with their evidence, permits with their ends, revocations: written once, given again at a replay."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from compliance_gate.adapters import tables
from compliance_gate.adapters.decision_statement import RECORD_DECISIONS
from compliance_gate.ports import (
    AttemptKey,
    HeldReview,
    NewDecision,
    NewPermit,
    OpenPermit,
    PriorPermit,
    StoredDecision,
    SubmissionKey,
    Tx,
)
from shared.contracts import (
    ContactAllowedV1,
    ContactDeferredV1,
    ContactDeniedV1,
    ContactHeldV1,
    Decision,
    PermitRevokedV1,
)
from shared.kafka.records import Outgoing, encode, pack, unpack
from shared.postgres.platform_tables import inbox
from shared.postgres.rows import insert_rows, select_matching, update_rows

SOURCE: Final = "decorum/compliance-gate"
VERDICT_TYPES: Final[Mapping[str, type[Decision]]] = {
    "allowed": ContactAllowedV1,
    "deferred": ContactDeferredV1,
    "denied": ContactDeniedV1,
    "held": ContactHeldV1,
}
_message_decoders: Final = {
    verdict: msgspec.json.Decoder(message_type) for verdict, message_type in VERDICT_TYPES.items()
}
_encode: Final = msgspec.json.Encoder().encode
_revocation_decoder: Final = msgspec.json.Decoder(PermitRevokedV1)
_versions_decoder: Final = msgspec.json.Decoder(dict[str, int])

_OPEN: Final = """
SELECT borrower_id, attempt_id, submission_number, decision_id, borrower_sequence, channel, contact_point_id,
       number_key, balance_versions::text, strategy, provider, expires_at, cause_source, cause_id
FROM permit WHERE end_rank = 0 AND revocation_id IS NULL
"""
_STORED: Final = """
SELECT d.borrower_id, d.attempt_id, d.submission_number, d.verdict, d.message, r.message AS revocation
FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::integer[])
      AS u(borrower_id, attempt_id, submission_number)) k
JOIN decision d USING (borrower_id, attempt_id, submission_number)
LEFT JOIN permit p USING (borrower_id, attempt_id, submission_number)
LEFT JOIN revocation r ON r.borrower_id = p.borrower_id AND r.revocation_id = p.revocation_id
"""
_PRIOR: Final = """
SELECT DISTINCT ON (p.borrower_id, p.attempt_id)
       p.borrower_id, p.attempt_id, p.end_rank, p.end_reason, p.expires_at
FROM unnest($1::text[], $2::text[]) AS k(borrower_id, attempt_id)
JOIN permit p USING (borrower_id, attempt_id)
ORDER BY p.borrower_id, p.attempt_id, p.end_rank <= 1, p.end_reason IS DISTINCT FROM 'rejected', p.end_rank > 0
"""
_APPROVALS: Final = """
SELECT h.borrower_id, h.decision_id, h.attempt_id, h.reviewed_by, h.reason, d.message
FROM unnest($1::text[], $2::text[]) AS k(borrower_id, decision_id)
JOIN held_review h USING (borrower_id, decision_id)
JOIN decision d USING (borrower_id, attempt_id, submission_number)
WHERE h.approved AND d.decision_id = h.decision_id AND d.verdict = 'held'
"""


class DecisionRecords:
    """The part of `ports.GateStore` about decisions, permits and revocations."""

    async def open_permits(
        self, tx: Tx, borrower_ids: Collection[str], *, number_keys: Collection[str] = ()
    ) -> list[OpenPermit]:
        """Permits of these borrowers, or on these numbers, that have neither an end nor a revocation; in order."""
        rows: list[Any] = []
        if borrower_ids:
            rows += await tx.exec_driver_sql(f"{_OPEN} AND borrower_id = ANY($1::text[])", (list(borrower_ids),))
        if number_keys:
            rows += await tx.exec_driver_sql(f"{_OPEN} AND number_key = ANY($1::text[])", (list(number_keys),))
        permits = {(row.borrower_id, row.borrower_sequence): _open_permit(row) for row in rows}
        return [permits[key] for key in sorted(permits)]

    async def stored_decisions(self, tx: Tx, keys: Collection[SubmissionKey]) -> dict[SubmissionKey, StoredDecision]:
        """Those of `keys` that were decided before."""
        arrays = ([key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys])
        return {
            (row.borrower_id, row.attempt_id, row.submission_number): StoredDecision(
                message=_message_decoders[row.verdict].decode(row.message),
                revocation=None if row.revocation is None else _revocation_decoder.decode(row.revocation),
            )
            for row in await tx.exec_driver_sql(_STORED, arrays)
        }

    async def prior_permits(self, tx: Tx, keys: Collection[AttemptKey]) -> dict[AttemptKey, PriorPermit]:
        """Those of the attempts that had a permit before."""
        arrays = ([key[0] for key in keys], [key[1] for key in keys])
        return {
            (row.borrower_id, row.attempt_id): PriorPermit(
                end_rank=row.end_rank, end_reason=row.end_reason, expires_at=row.expires_at
            )
            for row in await tx.exec_driver_sql(_PRIOR, arrays)
        }

    async def approvals(self, tx: Tx, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], HeldReview]:
        """Those of these (borrower, held decision)s that a person approved."""
        if not keys:
            return {}
        arrays = ([key[0] for key in keys], [key[1] for key in keys])
        return {
            (row.borrower_id, row.decision_id): HeldReview(
                decision_id=row.decision_id,
                attempt_id=row.attempt_id,
                reviewed_by=row.reviewed_by,
                reason=row.reason,
                rule_ids=tuple(
                    rule.rule_id
                    for rule in _message_decoders["held"].decode(row.message).rules
                    if rule.result == "held"
                ),
            )
            for row in await tx.exec_driver_sql(_APPROVALS, arrays)
        }

    async def record_decisions(self, tx: Tx, decisions: Sequence[NewDecision], *, now: datetime) -> None:
        """Write new decisions, the permits among them, and the slots that those reserve."""
        await tx.exec_driver_sql(RECORD_DECISIONS, (now, *zip(*map(_columns, decisions), strict=True)))

    async def record_revocations(self, tx: Tx, revocations: Sequence[tuple[Outgoing, Sequence[OpenPermit]]]) -> None:
        """Write revocations and mark the permits that they end; a replay of such a permit then brings both."""
        rows, marks = [], []
        answers: dict[tuple[str, str, str], list[Outgoing]] = {}
        for outgoing, permits in revocations:
            message = outgoing.message
            assert isinstance(message, PermitRevokedV1), "only revocations are recorded here"
            rows.append(_revocation_values(message))
            for permit in permits:
                marks.append(_mark(permit, message.revocation_id))
                answers.setdefault((permit.borrower_id, *permit.cause), []).append(outgoing)
        await insert_rows(tx, tables.revocation, rows, on_conflict="raise")
        await update_rows(tx, tables.permit, marks, keys=("borrower_id", "attempt_id", "submission_number"))
        await _answer_with(tx, answers)

    async def save_sequences(self, tx: Tx, sequences: Mapping[str, int]) -> None:
        """Write the last sequence number given, per borrower."""
        rows = [{"borrower_id": borrower_id, "sequence": number} for borrower_id, number in sequences.items()]
        await update_rows(tx, tables.borrower, rows, keys=("borrower_id",))


async def _answer_with(tx: Tx, answers: Mapping[tuple[str, str, str], Sequence[Outgoing]]) -> None:
    """Add revocations to what the inbox answers to a replay of the records that the permits answered."""
    names = ("borrower_id", "ce_source", "ce_id")
    keys = [dict(zip(names, key, strict=True)) for key in answers]
    rows = await select_matching(tx, inbox, keys, columns=(*names, "published"))
    added = []
    for row in rows:
        key = (row.borrower_id, row.ce_source, row.ce_id)
        stored = unpack(row.published) if row.published else []
        message = pack([*stored, *(encode(outgoing, source=SOURCE) for outgoing in answers[key])])
        added.append({**dict(zip(names, key, strict=True)), "published": message})
    await update_rows(tx, inbox, added, keys=names)


def _open_permit(row: Any) -> OpenPermit:
    versions = _versions_decoder.decode(row.balance_versions)
    return OpenPermit(
        borrower_id=row.borrower_id,
        attempt_id=row.attempt_id,
        submission_number=row.submission_number,
        decision_id=row.decision_id,
        borrower_sequence=row.borrower_sequence,
        channel=row.channel,
        contact_point_id=row.contact_point_id,
        number_key=row.number_key,
        loans=tuple(versions),
        balance_versions=versions,
        strategy=row.strategy,
        provider=row.provider,
        expires_at=row.expires_at,
        cause=(row.cause_source, row.cause_id),
    )


_NO_PERMIT: Final = (None,) * 13


def _columns(new: NewDecision) -> tuple[Any, ...]:
    """In the order of the parameters of `RECORD_DECISIONS`."""
    permit = new.permit
    return (
        new.borrower_id,
        new.attempt_id,
        new.submission_number,
        new.decision_id,
        new.borrower_sequence,
        new.verdict,
        new.deciding_rule,
        new.message,
        new.evidence,
        new.evidence_sha256,
        *(_NO_PERMIT if permit is None else _permit_columns(permit)),
    )


def _permit_columns(permit: NewPermit) -> tuple[Any, ...]:
    return (
        permit.expires_at,
        permit.channel,
        permit.contact_point_id,
        permit.number_key,
        permit.party,
        permit.purpose,
        permit.reply_to,
        _encode(list(permit.balance_versions)).decode(),
        _encode(permit.balance_versions).decode(),
        permit.strategy,
        permit.provider,
        *permit.cause,
    )


def _mark(permit: OpenPermit, revocation_id: str) -> dict[str, Any]:
    return {
        "borrower_id": permit.borrower_id,
        "attempt_id": permit.attempt_id,
        "submission_number": permit.submission_number,
        "revocation_id": revocation_id,
    }


def _revocation_values(message: PermitRevokedV1) -> dict[str, Any]:
    return {
        "borrower_id": message.borrower_id,
        "revocation_id": message.revocation_id,
        "borrower_sequence": message.borrower_sequence,
        "revoked_at": message.revoked_at,
        "reason": message.reason,
        "message": msgspec.json.encode(message),
    }
