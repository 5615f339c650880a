"""`InboundStore` on Postgres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from notifier.adapters import tables
from notifier.adapters.permit_sql import in_hand
from notifier.domain.replies import AnsweredContact
from notifier.ports import Candidate, Inbound, Kept, Tx
from shared.contracts import AttemptSubmittedV1, ReplyIntent
from shared.postgres.rows import insert_rows

ANSWER_DAYS_MAX: Final = 7
"""A message that names no contact answers the latest one to its number, if that was within these days."""

_decode_attempt: Final = msgspec.json.Decoder(AttemptSubmittedV1).decode

_CANDIDATES: Final = """
SELECT DISTINCT ON (c.number_hash, c.borrower_id)
  c.number_hash, c.borrower_id, c.contact_point_id, b.zones, k.wrapped_key
FROM contact_point c LEFT JOIN borrower b USING (borrower_id) LEFT JOIN borrower_key k USING (borrower_id)
WHERE c.number_hash = ANY($1::bytea[])
ORDER BY c.number_hash, c.borrower_id, c.active DESC, c.contact_point_id"""

_ANSWERED: Final = f"""
SELECT g.inbound_id, p.borrower_id, p.contact_point_id, p.attempt_id, p.attempt_json, b.zones, k.wrapped_key
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::timestamptz[], $5::text[])
  AS g(inbound_id, in_reply_to, number_hash, received_at, channel)
CROSS JOIN LATERAL (
  SELECT named.* FROM permit named WHERE named.message_id = g.in_reply_to AND named.channel = g.channel
  UNION ALL
  (SELECT latest.* FROM permit latest
   WHERE latest.number_hash = g.number_hash AND latest.state IN ('sending', 'made', 'unknown')
     AND latest.sent_at <= g.received_at AND latest.sent_at > g.received_at - interval '{ANSWER_DAYS_MAX} days'
     AND NOT EXISTS (SELECT 1 FROM permit n WHERE n.message_id = g.in_reply_to AND n.channel = g.channel)
   ORDER BY (latest.channel = g.channel) DESC, latest.sent_at DESC, latest.borrower_id, latest.attempt_id LIMIT 1)
) p
LEFT JOIN borrower b ON b.borrower_id = p.borrower_id LEFT JOIN borrower_key k ON k.borrower_id = p.borrower_id"""

_WITHDRAW: Final = f"""
WITH {in_hand("$4")}
INSERT INTO revocation (borrower_id, borrower_sequence, revocation_id, contact_point_id, recorded_at)
SELECT c.borrower_id, {2**63 - 1}, g.said_by || ':' || c.contact_point_id, c.contact_point_id, clock_timestamp()
FROM (SELECT count(*) FROM in_hand) locked
CROSS JOIN unnest($1::text[], $2::bytea[], $3::text[]) AS g(borrower_id, number_hash, said_by)
JOIN contact_point c ON c.borrower_id = g.borrower_id AND c.number_hash = g.number_hash
ORDER BY 1, 3 ON CONFLICT DO NOTHING"""
"""A revocation above every sequence that the gate gives: permits that it gives before it has heard are covered too.
$4 whose permits are held, as for a revocation by the gate, and so that its `recorded_at` says the same."""


class PostgresInbound:
    """Inbound messages by the keyed hash of their number; each borrower's copy under that borrower's key."""

    async def candidates(self, tx: Tx, inbound: Sequence[Inbound]) -> Mapping[str, Sequence[Candidate]]:
        rows = await tx.exec_driver_sql(_CANDIDATES, (list({i.number_hash for i in inbound}),))
        by_number: dict[bytes, list[Candidate]] = defaultdict(list)
        for row in rows:
            by_number[bytes(row.number_hash)].append(_candidate(row))
        return {i.inbound_id: by_number.get(i.number_hash, []) for i in inbound}

    async def answered(self, tx: Tx, inbound: Sequence[Inbound]) -> Mapping[str, Candidate]:
        columns: tuple[list[Any], ...] = (
            [i.inbound_id for i in inbound],
            [i.in_reply_to for i in inbound],
            [i.number_hash for i in inbound],
            [i.received_at for i in inbound],
            [i.channel for i in inbound],
        )
        rows = await tx.exec_driver_sql(_ANSWERED, columns)
        return {row.inbound_id: _candidate(row, answered=_contact(row)) for row in rows}

    async def add(self, tx: Tx, inbound: Sequence[tuple[Inbound, ReplyIntent, int]]) -> frozenset[str]:
        rows = [
            {
                "number_hash": i.number_hash,
                "channel": i.channel,
                "inbound_id": i.inbound_id,
                "received_at": i.received_at,
                "intent": intent,
                "borrowers": borrowers,
            }
            for i, intent, borrowers in sorted(inbound, key=lambda item: (item[0].number_hash, item[0].inbound_id))
        ]
        written = await insert_rows(tx, tables.inbound, rows, returning=("inbound_id",))
        return frozenset(row.inbound_id for row in written)

    async def keep(self, tx: Tx, kept: Sequence[Kept]) -> None:
        rows = [
            {
                "borrower_id": k.borrower_id,
                "channel": k.inbound.channel,
                "inbound_id": k.inbound.inbound_id,
                "intent": k.intent,
                "attempt_id": k.attempt_id,
                "received_at": k.inbound.received_at,
                "text_sealed": k.text_sealed,
            }
            for k in kept
        ]
        await insert_rows(tx, tables.inbound_reply, rows)

    async def suppress(self, tx: Tx, stopped: Sequence[Inbound]) -> None:
        rows = {
            (i.number_hash, i.channel): {
                "number_hash": i.number_hash,
                "channel": i.channel,
                "inbound_id": i.inbound_id,
                "since": i.received_at,
            }
            for i in stopped
        }
        await insert_rows(tx, tables.suppression, [rows[key] for key in sorted(rows)])

    async def withdraw(self, tx: Tx, wrong: Sequence[tuple[str, Inbound]], *, holding: Collection[str] = ()) -> None:
        columns: tuple[list[Any], ...] = (
            [borrower_id for borrower_id, _ in wrong],
            [inbound.number_hash for _, inbound in wrong],
            [f"wrong-person:{inbound.channel}:{inbound.inbound_id}" for _, inbound in wrong],
            sorted({*holding, *(borrower_id for borrower_id, _ in wrong)}),
        )
        await tx.exec_driver_sql(_WITHDRAW, columns)


def _candidate(row: Any, *, answered: AnsweredContact | None = None) -> Candidate:
    return Candidate(
        borrower_id=row.borrower_id,
        contact_point_id=row.contact_point_id,
        zones=tuple(row.zones or ()),
        wrapped_key=row.wrapped_key,
        answered=answered,
    )


def _contact(row: Any) -> AnsweredContact:
    attempt = _decode_attempt(row.attempt_json)
    return AnsweredContact(
        attempt_id=row.attempt_id,
        due_minor=attempt.due_minor,
        currency=attempt.currency,
        loans=tuple(loan.loan_id for loan in attempt.loans),
    )
