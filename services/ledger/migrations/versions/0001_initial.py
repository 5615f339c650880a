"""The book, promises and the case timeline. New tables only: takes no lock that anybody waits for."""

from __future__ import annotations

from alembic import op

from shared.postgres import platform_tables

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE borrower (
    borrower_id text PRIMARY KEY,
    zones text[],
    profile_at timestamptz,
    profile_source text,
    profile_event_id text
);

CREATE TABLE loan (
    borrower_id text NOT NULL,
    loan_id text NOT NULL,
    allocation_order text NOT NULL,
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    outstanding_fees_minor bigint NOT NULL CHECK (outstanding_fees_minor >= 0),
    outstanding_interest_minor bigint NOT NULL CHECK (outstanding_interest_minor >= 0),
    outstanding_principal_minor bigint NOT NULL CHECK (outstanding_principal_minor >= 0),
    overdue_fees_minor bigint NOT NULL CHECK (overdue_fees_minor BETWEEN 0 AND outstanding_fees_minor),
    overdue_interest_minor bigint NOT NULL CHECK (overdue_interest_minor BETWEEN 0 AND outstanding_interest_minor),
    overdue_principal_minor bigint NOT NULL CHECK (overdue_principal_minor BETWEEN 0 AND outstanding_principal_minor),
    next_due_fees_minor bigint NOT NULL CHECK (next_due_fees_minor >= 0),
    next_due_interest_minor bigint NOT NULL CHECK (next_due_interest_minor >= 0),
    next_due_principal_minor bigint NOT NULL CHECK (next_due_principal_minor >= 0),
    oldest_unpaid_due_on date,
    next_due_on date,
    closed boolean NOT NULL,
    waiting jsonb NOT NULL,
    balance_version integer NOT NULL CHECK (balance_version >= 0),
    last_at timestamptz NOT NULL,
    last_source text NOT NULL,
    last_event_id text NOT NULL,
    PRIMARY KEY (borrower_id, loan_id)
) WITH (fillfactor = 70);

CREATE TABLE posting (
    borrower_id text NOT NULL,
    transaction_id uuid NOT NULL,
    account text NOT NULL CHECK (account IN (
        'cash', 'receivable:fees', 'receivable:interest', 'receivable:principal',
        'suspense:overpayment', 'suspense:unknown_loan', 'restatement')),
    loan_id text NOT NULL,
    kind text NOT NULL,
    payment_id text,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    at timestamptz NOT NULL,
    event_source text NOT NULL,
    event_id text NOT NULL,
    trigger_source text NOT NULL,
    trigger_event_id text NOT NULL,
    reverses uuid,
    PRIMARY KEY (borrower_id, at, transaction_id, account)
);
COMMENT ON COLUMN posting.amount_minor IS 'minor units, debit positive';
CREATE UNIQUE INDEX posting_reversed_once ON posting (borrower_id, at, reverses, account) WHERE reverses IS NOT NULL;

CREATE TABLE case_event (
    borrower_id text NOT NULL,
    at timestamptz NOT NULL,
    source text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL,
    loan_id text,
    payment_id text,
    attempt_id text,
    flags text,
    detail jsonb NOT NULL,
    PRIMARY KEY (borrower_id, at, source, event_id)
);
CREATE INDEX case_event_payment ON case_event (borrower_id, loan_id, payment_id)
    WHERE kind IN ('lender.payment-received.v1', 'lender.payment-reversed.v1');

CREATE TABLE promise (
    borrower_id text NOT NULL,
    promise_id text NOT NULL,
    reply_id text NOT NULL,
    said_currency text CHECK (said_currency ~ '^[A-Z]{3}$'),
    said_minor bigint CHECK (said_minor > 0),
    said_loans text[] NOT NULL,
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    loans text[] NOT NULL,
    promised_minor bigint NOT NULL CHECK (promised_minor >= 0),
    from_book boolean NOT NULL,
    promised_on date NOT NULL,
    promised_at timestamptz NOT NULL,
    grace_ends_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'kept', 'partly_kept', 'broken', 'replaced', 'voided')),
    paid_minor bigint NOT NULL CHECK (paid_minor >= 0),
    settled_at timestamptz NOT NULL,
    said_at timestamptz NOT NULL,
    changes integer NOT NULL,
    CHECK ((state = 'voided') = (promised_minor = 0 OR currency IS NULL)),
    PRIMARY KEY (borrower_id, promise_id)
);
CREATE INDEX promise_grace_end ON promise (grace_ends_at) WHERE state = 'open';
CREATE UNIQUE INDEX promise_open_once ON promise (borrower_id, currency) WHERE state = 'open';

CREATE TABLE promise_request (
    borrower_id text NOT NULL,
    reply_id text NOT NULL,
    reply jsonb NOT NULL,
    attempt_id text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (borrower_id, reply_id)
);
"""

# One check per statement over the rows that it adds: every statement must add lines that balance by transaction and
# currency, so the whole table always does. That is stricter than a check at commit, needs no second read of the
# table, and costs one aggregate a batch instead of one query a row.
GUARDS = """
CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added GROUP BY borrower_id, transaction_id HAVING sum(amount_minor) <> 0
            OR count(DISTINCT currency) <> 1
    ) THEN
        RAISE EXCEPTION 'a transaction does not balance' USING ERRCODE = 'check_violation', CONSTRAINT = 'balanced';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER posting_balanced AFTER INSERT ON posting
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER posting_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER case_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON case_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def _run(script: str) -> None:
    """One statement at a time, as asyncpg wants; a function's body is kept whole."""
    statement: list[str] = []
    inside_body = False
    for line in script.splitlines():
        statement.append(line)
        inside_body ^= line.count("$$") % 2 == 1
        if line.rstrip().endswith(";") and not inside_body:
            op.execute("\n".join(statement))
            statement = []


def upgrade() -> None:
    platform_tables.create(op)
    _run(TABLES)
    _run(GUARDS)


def downgrade() -> None:
    for table in ("promise_request", "promise", "case_event", "posting", "loan", "borrower"):
        op.execute(f"DROP TABLE {table}")
    for function in ("refuse_unbalanced", "refuse_change"):
        op.execute(f"DROP FUNCTION {function}")
    platform_tables.drop(op)
