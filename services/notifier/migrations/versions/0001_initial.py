"""The notifier's tables, on an empty database: no lock matters."""

from alembic import op

from shared.postgres import platform_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE borrower (
    borrower_id text PRIMARY KEY,
    event_time timestamptz, event_source text, event_id text,
    region text, zones text[], name_sealed bytea
);
CREATE TABLE borrower_key (borrower_id text PRIMARY KEY, wrapped_key bytea NOT NULL);
CREATE TABLE contact_point (
    borrower_id text, contact_point_id text,
    kind text NOT NULL CHECK (kind IN ('mobile', 'landline', 'email')),
    holder text NOT NULL CHECK (holder IN ('borrower', 'workplace', 'third_party')),
    active boolean NOT NULL, value_sealed bytea, number_hash bytea,
    PRIMARY KEY (borrower_id, contact_point_id),
    CHECK (NOT active OR value_sealed IS NOT NULL)
);
CREATE INDEX contact_point_by_number ON contact_point (number_hash) WHERE number_hash IS NOT NULL;
CREATE TABLE permit (
    borrower_id text, attempt_id text, submission_number integer,
    decision_id text NOT NULL, borrower_sequence bigint NOT NULL, expires_at timestamptz NOT NULL,
    channel text NOT NULL, contact_point_id text NOT NULL, loans text[] NOT NULL, strategy text NOT NULL,
    attempt_json bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('permitted', 'sending', 'made', 'not_made', 'unknown')),
    reason text, provider text, owner text, lease_until timestamptz, claimed_at timestamptz, sent_at timestamptz,
    ended_at timestamptz,
    message_id text, number_hash bytea, result text,
    PRIMARY KEY (borrower_id, attempt_id, submission_number),
    CHECK ((state = 'not_made') = (reason IS NOT NULL)),
    CHECK (state <> 'permitted' OR sent_at IS NULL),
    CHECK (state <> 'sending' OR (owner IS NOT NULL AND lease_until IS NOT NULL AND claimed_at IS NOT NULL)),
    CHECK (state <> 'sending' OR sent_at IS NOT NULL),
    CHECK (state NOT IN ('made', 'unknown') OR sent_at IS NOT NULL),
    CHECK (state IN ('permitted', 'sending') OR ended_at IS NOT NULL)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
CREATE UNIQUE INDEX permit_sent_once ON permit (borrower_id, attempt_id) WHERE sent_at IS NOT NULL;
CREATE INDEX permit_open ON permit (channel, expires_at) WHERE state = 'permitted';
CREATE INDEX permit_sending ON permit (lease_until) WHERE state = 'sending';
CREATE INDEX permit_by_attempt ON permit (attempt_id);
CREATE INDEX permit_by_number ON permit (number_hash, sent_at) WHERE number_hash IS NOT NULL;
CREATE INDEX permit_by_message ON permit (message_id) WHERE message_id IS NOT NULL;
CREATE TABLE revocation (
    borrower_id text, borrower_sequence bigint, revocation_id text,
    channel text, contact_point_id text, loans text[], strategy text, provider text,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (borrower_id, borrower_sequence, revocation_id)
);
CREATE TABLE operator_stop (
    stop_id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('all', 'channel', 'provider', 'strategy', 'borrower')),
    value text NOT NULL, changed_at timestamptz NOT NULL, lifted boolean NOT NULL
);
CREATE INDEX operator_stop_in_force ON operator_stop (kind, value) WHERE NOT lifted;
CREATE TABLE suppression (
    number_hash bytea, channel text, inbound_id text NOT NULL, since timestamptz NOT NULL,
    PRIMARY KEY (number_hash, channel)
);
CREATE TABLE receipt (
    attempt_id text, receipt_id text, message_id text NOT NULL, channel text NOT NULL, status text NOT NULL,
    occurred_at timestamptz NOT NULL, applied boolean NOT NULL,
    PRIMARY KEY (attempt_id, receipt_id)
);
CREATE INDEX receipt_waiting ON receipt (attempt_id) WHERE NOT applied;
CREATE TABLE inbound (
    number_hash bytea, channel text, inbound_id text,
    received_at timestamptz NOT NULL, intent text NOT NULL, borrowers integer NOT NULL,
    PRIMARY KEY (number_hash, channel, inbound_id)
);
CREATE TABLE inbound_reply (
    borrower_id text, channel text, inbound_id text,
    intent text NOT NULL, attempt_id text, received_at timestamptz NOT NULL, text_sealed bytea NOT NULL,
    PRIMARY KEY (borrower_id, channel, inbound_id)
);
CREATE TABLE webhook_delivery (delivery_id text PRIMARY KEY, seen_at timestamptz NOT NULL);
CREATE INDEX webhook_delivery_by_age ON webhook_delivery (seen_at);
CREATE TABLE contact_audit (
    borrower_id text, audited_at timestamptz, action text NOT NULL, acted_by text NOT NULL, reason text NOT NULL,
    PRIMARY KEY (borrower_id, audited_at)
);
"""
_NAMES = (
    "contact_audit, webhook_delivery, inbound_reply, inbound, receipt, suppression, operator_stop, revocation, permit, "
    "contact_point, borrower_key, borrower"
)


def upgrade() -> None:
    platform_tables.create(op)
    for statement in filter(str.strip, _TABLES.split(";")):
        op.execute(statement)


def downgrade() -> None:
    op.execute(f"DROP TABLE {_NAMES}")
    platform_tables.drop(op)
