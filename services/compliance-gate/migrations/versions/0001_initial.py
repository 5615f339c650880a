"""Facts, decisions, permits and shared numbers. New tables only: takes no lock that anybody waits for."""

from __future__ import annotations

from alembic import op

from shared.postgres import platform_tables

revision = "0001"
down_revision = None

FACTS = """
CREATE TABLE borrower (
    borrower_id text PRIMARY KEY,
    sequence bigint NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    profile jsonb,
    event_at timestamptz,
    event_source text,
    event_id text
) WITH (fillfactor = 70);
COMMENT ON COLUMN borrower.sequence IS 'the last number given to a decision or a revocation of this borrower';
COMMENT ON COLUMN borrower.profile IS 'region, candidate zones, contact points with keyed hashes but no number';

CREATE TABLE restriction (
    borrower_id text NOT NULL,
    restriction_id text NOT NULL,
    kind text NOT NULL,
    active boolean NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    loans jsonb NOT NULL,
    event_at timestamptz NOT NULL,
    event_source text NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (borrower_id, restriction_id)
);

CREATE TABLE consent (
    borrower_id text NOT NULL,
    consent_id text NOT NULL,
    kind text NOT NULL,
    in_force boolean NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    channel text,
    contact_point_id text,
    loans jsonb NOT NULL,
    days jsonb NOT NULL,
    start_minute integer,
    end_minute integer,
    place text,
    event_at timestamptz NOT NULL,
    event_source text NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (borrower_id, consent_id)
);

CREATE TABLE contact (
    borrower_id text NOT NULL,
    contact_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT '1970-01-01+00',
    channel text NOT NULL,
    direction text NOT NULL DEFAULT 'outbound' CHECK (direction IN ('outbound', 'inbound')),
    party text NOT NULL DEFAULT '',
    purpose text NOT NULL DEFAULT '',
    made_by text NOT NULL DEFAULT 'lender',
    loans jsonb NOT NULL,
    discussed jsonb,
    contact_point_id text,
    number_key text,
    reply_to text,
    reserved_submission integer NOT NULL DEFAULT 0,
    ended_submission integer NOT NULL DEFAULT 0,
    proof smallint NOT NULL DEFAULT 0 CHECK (proof BETWEEN 0 AND 4),
    result text,
    result_rank smallint NOT NULL DEFAULT 0,
    event_at timestamptz,
    event_source text,
    event_id text,
    PRIMARY KEY (borrower_id, contact_id)
) WITH (fillfactor = 80);
COMMENT ON COLUMN contact.proof IS '0 a slot at most, 1 shadowed, 2 may have been made, 3 made, 4 by others or inbound';

CREATE TABLE loan (
    borrower_id text NOT NULL,
    loan_id text NOT NULL,
    currency text,
    overdue_minor bigint,
    outstanding_minor bigint,
    balance_version integer,
    closed_in_book boolean NOT NULL DEFAULT false,
    closed_by_lender boolean NOT NULL DEFAULT false,
    PRIMARY KEY (borrower_id, loan_id)
) WITH (fillfactor = 70);

CREATE TABLE payment (
    borrower_id text NOT NULL,
    loan_id text NOT NULL,
    payment_id text NOT NULL,
    received boolean NOT NULL,
    reversed boolean NOT NULL,
    posted boolean NOT NULL,
    unposted boolean NOT NULL,
    PRIMARY KEY (borrower_id, loan_id, payment_id)
) WITH (fillfactor = 70);

CREATE TABLE held_review (
    borrower_id text NOT NULL,
    decision_id text NOT NULL,
    attempt_id text NOT NULL,
    submission_number integer NOT NULL,
    approved boolean NOT NULL,
    reviewed_by text NOT NULL,
    reason text NOT NULL,
    reviewed_at timestamptz NOT NULL,
    event_at timestamptz NOT NULL,
    event_source text NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (borrower_id, decision_id)
);

CREATE TABLE stop (
    borrower_id text NOT NULL,
    stop_id text NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    in_force boolean NOT NULL,
    reason text NOT NULL,
    event_at timestamptz NOT NULL,
    event_source text NOT NULL,
    event_id text NOT NULL,
    PRIMARY KEY (borrower_id, stop_id)
);
COMMENT ON COLUMN stop.borrower_id IS 'the borrower, or all';
"""

DECISIONS = """
CREATE TABLE decision (
    borrower_id text NOT NULL,
    attempt_id text NOT NULL,
    submission_number integer NOT NULL CHECK (submission_number >= 1),
    decision_id text NOT NULL,
    borrower_sequence bigint NOT NULL,
    decided_at timestamptz NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('allowed', 'deferred', 'denied', 'held')),
    deciding_rule text,
    permit_expires_at timestamptz CHECK (permit_expires_at > decided_at),
    message bytea NOT NULL,
    evidence bytea NOT NULL,
    evidence_sha256 text NOT NULL,
    PRIMARY KEY (borrower_id, attempt_id, submission_number),
    CHECK ((verdict = 'allowed') = (permit_expires_at IS NOT NULL))
);
CREATE UNIQUE INDEX decision_in_order ON decision (borrower_id, borrower_sequence);
CREATE INDEX decision_held ON decision (decided_at) WHERE verdict = 'held';
ALTER TABLE decision ALTER COLUMN message SET STORAGE EXTERNAL, ALTER COLUMN evidence SET STORAGE EXTERNAL;
COMMENT ON COLUMN decision.evidence IS 'the attempt, the facts and the instant that the verdict follows from';

ALTER TABLE inbox ALTER COLUMN published SET STORAGE EXTERNAL;
ALTER TABLE inbox SET (toast_tuple_target = 8160);
ALTER TABLE decision SET (toast_tuple_target = 8160);

CREATE TABLE permit (
    borrower_id text NOT NULL,
    attempt_id text NOT NULL,
    submission_number integer NOT NULL,
    decision_id text NOT NULL,
    borrower_sequence bigint NOT NULL,
    channel text NOT NULL,
    contact_point_id text NOT NULL,
    number_key text NOT NULL,
    balance_versions jsonb NOT NULL,
    strategy text NOT NULL,
    provider text,
    expires_at timestamptz NOT NULL,
    cause_source text NOT NULL,
    cause_id text NOT NULL,
    end_rank smallint NOT NULL DEFAULT 0 CHECK (end_rank BETWEEN 0 AND 4),
    end_reason text,
    revocation_id text,
    PRIMARY KEY (borrower_id, attempt_id, submission_number)
) WITH (fillfactor = 80);
COMMENT ON COLUMN permit.balance_versions IS 'by loan: the balance version of the amounts that the text will say';
COMMENT ON COLUMN permit.end_rank IS '0 open, 1 not made, 2 shadowed, 3 unknown, 4 made: it only rises';
CREATE UNIQUE INDEX permit_open ON permit (borrower_id, attempt_id) WHERE end_rank = 0;
CREATE INDEX permit_open_by_number ON permit (number_key) WHERE end_rank = 0;
CREATE INDEX permit_open_by_end ON permit (expires_at) WHERE end_rank = 0;

CREATE TABLE revocation (
    borrower_id text NOT NULL,
    revocation_id text NOT NULL,
    borrower_sequence bigint NOT NULL,
    revoked_at timestamptz NOT NULL,
    reason text NOT NULL,
    message bytea NOT NULL,
    PRIMARY KEY (borrower_id, revocation_id)
);
CREATE UNIQUE INDEX revocation_in_order ON revocation (borrower_id, borrower_sequence);
"""

NUMBERS = """
CREATE TABLE number (
    number_key text PRIMARY KEY
);

CREATE TABLE number_holder (
    number_key text NOT NULL,
    borrower_id text NOT NULL,
    contact_point_id text NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (number_key, borrower_id, contact_point_id)
);
CREATE INDEX number_holder_by_borrower ON number_holder (borrower_id, contact_point_id);

CREATE TABLE number_contact (
    number_key text NOT NULL,
    borrower_id text NOT NULL,
    contact_id text NOT NULL,
    at timestamptz NOT NULL,
    channel text NOT NULL,
    party text NOT NULL,
    purpose text NOT NULL,
    made_by text NOT NULL,
    state text NOT NULL,
    result text,
    counts boolean NOT NULL,
    PRIMARY KEY (number_key, borrower_id, contact_id)
) WITH (fillfactor = 80);

CREATE TABLE number_suppression (
    number_key text NOT NULL,
    borrower_id text NOT NULL,
    suppression_id text NOT NULL,
    channel text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    in_force boolean NOT NULL,
    PRIMARY KEY (number_key, borrower_id, suppression_id)
);
"""

MADE = (
    *("borrower", "restriction", "consent", "contact", "loan", "payment", "held_review", "stop"),
    *("decision", "permit", "revocation", "number", "number_holder", "number_contact", "number_suppression"),
)


def upgrade() -> None:
    platform_tables.create(op)
    for statement in (FACTS + DECISIONS + NUMBERS).split(";"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    op.execute(f"DROP TABLE {', '.join(MADE)}")
    platform_tables.drop(op)
