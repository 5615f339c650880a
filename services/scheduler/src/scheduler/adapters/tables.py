"""The scheduler's tables, as the store writes them. Migrations are the truth; a test compares the two."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData()
_INSTANT: Final = sa.DateTime(timezone=True)


def _column(name: str, kind: Any, *, key: bool = False, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=key, nullable=null)


borrower = sa.Table(
    "borrower",
    metadata,
    _column("borrower_id", sa.Text, key=True),
    _column("profile_at", _INSTANT, null=True),
    _column("profile_tie", sa.Text, null=True),
    _column("language", sa.Text, null=True),
    _column("region", sa.Text, null=True),
    _column("zones", sa.ARRAY(sa.Text), null=True),
    _column("contact_places", sa.Text, null=True),
    _column("wake_at", _INSTANT, null=True),
)

loan = sa.Table(
    "loan",
    metadata,
    _column("borrower_id", sa.Text, key=True),
    _column("loan_id", sa.Text, key=True),
    _column("currency", sa.Text),
    _column("balance_version", sa.BigInteger),
    _column("overdue_minor", sa.BigInteger),
    _column("outstanding_minor", sa.BigInteger),
    _column("oldest_unpaid_due_on", sa.Date, null=True),
    _column("next_due_on", sa.Date, null=True),
    _column("next_due_minor", sa.BigInteger),
    _column("closed", sa.Boolean),
    _column("as_of", _INSTANT),
)

circumstance = sa.Table(
    "circumstance",
    metadata,
    _column("borrower_id", sa.Text, key=True),
    _column("kind", sa.Text, key=True),
    _column("circumstance_id", sa.Text, key=True),
    _column("order_at", _INSTANT),
    _column("order_tie", sa.Text),
    _column("active", sa.Boolean),
    _column("detail", sa.Text),
    _column("channel", sa.Text, null=True),
    _column("contact_point_id", sa.Text, null=True),
    _column("loans", sa.ARRAY(sa.Text), null=True),
    _column("starts_at", _INSTANT, null=True),
    _column("ends_at", _INSTANT, null=True),
)

attempt = sa.Table(
    "attempt",
    metadata,
    _column("borrower_id", sa.Text, key=True),
    _column("attempt_id", sa.Uuid, key=True),
    _column("currency", sa.Text),
    _column("episode", sa.Date),
    _column("plan_number", sa.Integer),
    _column("step_key", sa.Text),
    _column("strategy", sa.Text),
    _column("strategy_hash", sa.Text),
    _column("grade", sa.Text),
    _column("purpose", sa.Text),
    _column("channel", sa.Text),
    _column("template", sa.Text),
    _column("planned_for", _INSTANT),
    _column("due_at", _INSTANT),
    _column("expires_at", _INSTANT),
    _column("state", sa.Text),
    _column("end_reason", sa.Text, null=True),
    _column("wanted", sa.Boolean),
    _column("submissions", sa.Integer),
    _column("deferred_until", _INSTANT, null=True),
    _column("submitted_at", _INSTANT, null=True),
    _column("contact_point_id", sa.Text, null=True),
    _column("approval", JSONB, null=True),
)

submission = sa.Table(
    "submission",
    metadata,
    _column("borrower_id", sa.Text, key=True),
    _column("attempt_id", sa.Uuid, key=True),
    _column("submission_number", sa.Integer, key=True),
    _column("submitted_at", _INSTANT),
)

referral = sa.Table(
    "referral",
    metadata,
    _column("borrower_id", sa.Text, key=True),
    _column("referral_id", sa.Uuid, key=True),
    _column("currency", sa.Text),
    _column("episode", sa.Date),
    _column("step_key", sa.Text),
    _column("target", sa.Text),
    _column("referred_at", _INSTANT),
)
