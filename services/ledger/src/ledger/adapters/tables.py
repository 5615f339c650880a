"""The ledger's tables. `posting` and `case_event` are only ever added to: triggers refuse anything else."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData()


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, **options)


def _minor(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _instant(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


borrower = sa.Table(
    "borrower",
    metadata,
    _text("borrower_id", primary_key=True),
    sa.Column("zones", sa.ARRAY(sa.Text)),
    _instant("profile_at"),
    _text("profile_source"),
    _text("profile_event_id"),
)

loan = sa.Table(
    "loan",
    metadata,
    _text("borrower_id", primary_key=True),
    _text("loan_id", primary_key=True),
    _text("allocation_order", nullable=False),
    _text("currency"),
    *(
        _minor(f"{amount}_{component}_minor")
        for amount in ("outstanding", "overdue", "next_due")
        for component in ("fees", "interest", "principal")
    ),
    sa.Column("oldest_unpaid_due_on", sa.Date),
    sa.Column("next_due_on", sa.Date),
    sa.Column("closed", sa.Boolean, nullable=False),
    sa.Column("waiting", JSONB, nullable=False),
    sa.Column("balance_version", sa.Integer, nullable=False),
    _instant("last_at", nullable=False),
    _text("last_source", nullable=False),
    _text("last_event_id", nullable=False),
)

posting = sa.Table(
    "posting",
    metadata,
    _text("borrower_id", primary_key=True),
    sa.Column("transaction_id", sa.Uuid(as_uuid=False), primary_key=True),
    _text("account", primary_key=True),
    _text("loan_id", nullable=False),
    _text("kind", nullable=False),
    _text("payment_id"),
    _text("currency", nullable=False),
    _minor("amount_minor"),
    _instant("at", primary_key=True),
    _text("event_source", nullable=False),
    _text("event_id", nullable=False),
    _text("trigger_source", nullable=False),
    _text("trigger_event_id", nullable=False),
    sa.Column("reverses", sa.Uuid(as_uuid=False)),
)

case_event = sa.Table(
    "case_event",
    metadata,
    _text("borrower_id", primary_key=True),
    _instant("at", primary_key=True),
    _text("source", primary_key=True),
    _text("event_id", primary_key=True),
    _text("kind", nullable=False),
    _text("loan_id"),
    _text("payment_id"),
    _text("attempt_id"),
    _text("flags"),
    sa.Column("detail", JSONB, nullable=False),
)

promise = sa.Table(
    "promise",
    metadata,
    _text("borrower_id", primary_key=True),
    _text("promise_id", primary_key=True),
    _text("reply_id", nullable=False),
    _text("said_currency"),
    sa.Column("said_minor", sa.BigInteger),
    sa.Column("said_loans", sa.ARRAY(sa.Text), nullable=False),
    _text("currency"),
    sa.Column("loans", sa.ARRAY(sa.Text), nullable=False),
    _minor("promised_minor"),
    sa.Column("from_book", sa.Boolean, nullable=False),
    sa.Column("promised_on", sa.Date, nullable=False),
    _instant("promised_at", nullable=False),
    _instant("grace_ends_at", nullable=False),
    _text("state", nullable=False),
    _minor("paid_minor"),
    _instant("settled_at", nullable=False),
    _instant("said_at", nullable=False),
    sa.Column("changes", sa.Integer, nullable=False),
)

promise_request = sa.Table(
    "promise_request",
    metadata,
    _text("borrower_id", primary_key=True),
    _text("reply_id", primary_key=True),
    sa.Column("reply", JSONB, nullable=False),
    _text("attempt_id", nullable=False),
    _instant("asked_at", nullable=False, server_default=sa.text("now()")),
)
