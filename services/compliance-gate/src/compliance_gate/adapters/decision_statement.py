"""The one statement that writes a batch of decisions with their permits, reserved slots and entries under numbers."""

from __future__ import annotations

from typing import Final

from compliance_gate.adapters.merging import CONTACT_MERGE

_PARAMETERS: Final = (
    ("borrower_id", "text"),
    ("attempt_id", "text"),
    ("submission_number", "integer"),
    ("decision_id", "text"),
    ("borrower_sequence", "bigint"),
    ("verdict", "text"),
    ("deciding_rule", "text"),
    ("message", "bytea"),
    ("evidence", "bytea"),
    ("evidence_sha256", "text"),
    ("expires_at", "timestamptz"),
    ("channel", "text"),
    ("contact_point_id", "text"),
    ("number_key", "text"),
    ("party", "text"),
    ("purpose", "text"),
    ("reply_to", "text"),
    ("loans", "text"),
    ("balance_versions", "text"),
    ("strategy", "text"),
    ("provider", "text"),
    ("cause_source", "text"),
    ("cause_id", "text"),
)
"""After $1, the instant of the decisions: one array each."""
_ARRAYS: Final = ", ".join(f"${i}::{kind}[]" for i, (_, kind) in enumerate(_PARAMETERS, start=2))
_NAMES: Final = ", ".join(name for name, _ in _PARAMETERS)
_MERGE: Final = ", ".join(f"{column} = {expression}" for column, expression in CONTACT_MERGE.merge)

RECORD_DECISIONS: Final = f"""
WITH r AS MATERIALIZED (SELECT * FROM unnest({_ARRAYS}) AS u({_NAMES})),
decided AS (
    INSERT INTO decision (borrower_id, attempt_id, submission_number, decision_id, borrower_sequence, decided_at,
                          verdict, deciding_rule, permit_expires_at, message, evidence, evidence_sha256)
    SELECT borrower_id, attempt_id, submission_number, decision_id, borrower_sequence, $1, verdict, deciding_rule,
           expires_at, message, evidence, evidence_sha256 FROM r
), permitted AS (
    INSERT INTO permit (borrower_id, attempt_id, submission_number, decision_id, borrower_sequence, channel,
                        contact_point_id, number_key, balance_versions, strategy, provider, expires_at, cause_source,
                        cause_id)
    SELECT borrower_id, attempt_id, submission_number, decision_id, borrower_sequence, channel, contact_point_id,
           number_key, balance_versions::jsonb, strategy, provider, expires_at, cause_source, cause_id
    FROM r WHERE verdict = 'allowed'
), reserved AS (
    INSERT INTO contact (borrower_id, contact_id, at, channel, party, purpose, loans, contact_point_id, number_key,
                         reply_to, reserved_submission)
    SELECT borrower_id, attempt_id, $1, channel, party, purpose, loans::jsonb, contact_point_id, number_key, reply_to,
           submission_number
    FROM r WHERE verdict = 'allowed'
    ON CONFLICT (borrower_id, contact_id) DO UPDATE SET {_MERGE}
)
INSERT INTO number_contact (number_key, borrower_id, contact_id, at, channel, party, purpose, made_by, state, counts)
SELECT number_key, borrower_id, attempt_id, $1, channel, party, purpose, 'lender', 'reserved', true
FROM r WHERE verdict = 'allowed'
ON CONFLICT (number_key, borrower_id, contact_id) DO UPDATE SET at = excluded.at, state = 'reserved', counts = true
"""
