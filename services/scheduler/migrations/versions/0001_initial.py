"""Profile, circumstances, plan, submissions, referrals. New tables only: takes no lock that anybody waits for."""

from __future__ import annotations

from alembic import op

from shared.postgres import platform_tables

revision = "0001"
down_revision = None

TABLES = (
    """
CREATE TABLE borrower (
    borrower_id text PRIMARY KEY,
    profile_at timestamptz,
    profile_tie text,
    language text CHECK (language IN ('zh', 'en')),
    region text,
    zones text[],
    contact_places text,
    wake_at timestamptz,
    CHECK (num_nulls(profile_at, profile_tie, language, region, zones, contact_places) IN (0, 6))
) WITH (fillfactor = 70)
""",
    "COMMENT ON COLUMN borrower.contact_places IS 'JSON: contact points without their numbers'",
    "COMMENT ON COLUMN borrower.wake_at IS 'when the plan must be looked at without an event: the release queue'",
    "CREATE INDEX borrower_due ON borrower (wake_at, borrower_id) WHERE wake_at IS NOT NULL",
    """
CREATE TABLE loan (
    borrower_id text NOT NULL,
    loan_id text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    balance_version bigint NOT NULL CHECK (balance_version > 0),
    overdue_minor bigint NOT NULL CHECK (overdue_minor >= 0),
    outstanding_minor bigint NOT NULL CHECK (outstanding_minor >= 0),
    oldest_unpaid_due_on date,
    next_due_on date,
    next_due_minor bigint NOT NULL CHECK (next_due_minor >= 0),
    closed boolean NOT NULL,
    as_of timestamptz NOT NULL,
    PRIMARY KEY (borrower_id, loan_id)
) WITH (fillfactor = 70)
""",
    """
CREATE TABLE circumstance (
    borrower_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('restriction', 'opt_out', 'promise', 'reply')),
    circumstance_id text NOT NULL,
    order_at timestamptz NOT NULL,
    order_tie text NOT NULL,
    active boolean NOT NULL,
    detail text NOT NULL,
    channel text,
    contact_point_id text,
    loans text[],
    starts_at timestamptz,
    ends_at timestamptz,
    PRIMARY KEY (borrower_id, kind, circumstance_id)
)
""",
    """
CREATE TABLE attempt (
    borrower_id text NOT NULL,
    attempt_id uuid NOT NULL,
    currency text NOT NULL,
    episode date NOT NULL,
    plan_number integer NOT NULL CHECK (plan_number > 0),
    step_key text NOT NULL,
    strategy text NOT NULL,
    strategy_hash text NOT NULL,
    grade text NOT NULL CHECK (grade IN ('low', 'medium', 'high')),
    purpose text NOT NULL CHECK (purpose IN ('reminder', 'demand')),
    channel text NOT NULL CHECK (channel IN ('sms', 'voice')),
    template text NOT NULL,
    planned_for timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('planned', 'submitted', 'held', 'made', 'unknown', 'shadowed', 'ended')),
    end_reason text CHECK ((end_reason IS NOT NULL) = (state = 'ended')),
    wanted boolean NOT NULL,
    submissions integer NOT NULL CHECK (submissions BETWEEN 1 AND 1000),
    deferred_until timestamptz,
    submitted_at timestamptz,
    contact_point_id text,
    approval jsonb,
    PRIMARY KEY (borrower_id, attempt_id),
    CHECK (due_at < expires_at AND planned_for < expires_at)
) WITH (fillfactor = 70)
""",
    """
CREATE TABLE submission (
    borrower_id text NOT NULL,
    attempt_id uuid NOT NULL,
    submission_number integer NOT NULL CHECK (submission_number BETWEEN 1 AND 1000),
    submitted_at timestamptz NOT NULL,
    PRIMARY KEY (borrower_id, attempt_id, submission_number)
)
""",
    """
CREATE TABLE referral (
    borrower_id text NOT NULL,
    referral_id uuid NOT NULL,
    currency text NOT NULL,
    episode date NOT NULL,
    step_key text NOT NULL,
    target text NOT NULL CHECK (target IN ('person', 'agency', 'legal')),
    referred_at timestamptz NOT NULL,
    PRIMARY KEY (borrower_id, referral_id)
)
""",
)


def upgrade() -> None:
    platform_tables.create(op)
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    for table in ("referral", "submission", "attempt", "circumstance", "loan", "borrower"):
        op.execute(f"DROP TABLE {table}")
    platform_tables.drop(op)
