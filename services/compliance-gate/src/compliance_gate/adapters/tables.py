"""The gate's tables, for set-based statements. The migrations make them; a test compares the two.

Every key starts with the borrower, or with a number's keyed hash for what borrowers share.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData()


def _key(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, primary_key=True)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _json(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, JSONB, nullable=nullable)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _order(*, nullable: bool = False) -> tuple[sa.Column[Any], ...]:
    """What last-writer-wins state is ordered by: the event's time, source and id."""
    return (
        _instant("event_at", nullable=nullable),
        _text("event_source", nullable=nullable),
        _text("event_id", nullable=nullable),
    )


borrower = sa.Table(
    "borrower",
    metadata,
    _key("borrower_id"),
    sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0"),
    _json("profile", nullable=True),
    *_order(nullable=True),
)

restriction = sa.Table(
    "restriction",
    metadata,
    _key("borrower_id"),
    _key("restriction_id"),
    _text("kind"),
    _flag("active"),
    _instant("since"),
    _instant("until", nullable=True),
    _json("loans"),
    *_order(),
)

consent = sa.Table(
    "consent",
    metadata,
    _key("borrower_id"),
    _key("consent_id"),
    _text("kind"),
    _flag("in_force"),
    _instant("since"),
    _instant("until", nullable=True),
    _text("channel", nullable=True),
    _text("contact_point_id", nullable=True),
    _json("loans"),
    _json("days"),
    sa.Column("start_minute", sa.Integer, nullable=True),
    sa.Column("end_minute", sa.Integer, nullable=True),
    _text("place", nullable=True),
    *_order(),
)

contact = sa.Table(
    "contact",
    metadata,
    _key("borrower_id"),
    _key("contact_id"),
    _instant("at"),
    _text("channel"),
    _text("direction"),
    _text("party"),
    _text("purpose"),
    _text("made_by"),
    _json("loans"),
    _json("discussed", nullable=True),
    _text("contact_point_id", nullable=True),
    _text("number_key", nullable=True),
    _text("reply_to", nullable=True),
    sa.Column("reserved_submission", sa.Integer, nullable=False),
    sa.Column("ended_submission", sa.Integer, nullable=False),
    sa.Column("proof", sa.SmallInteger, nullable=False),
    _text("result", nullable=True),
    sa.Column("result_rank", sa.SmallInteger, nullable=False),
    *_order(nullable=True),
)

loan = sa.Table(
    "loan",
    metadata,
    _key("borrower_id"),
    _key("loan_id"),
    _text("currency", nullable=True),
    sa.Column("overdue_minor", sa.BigInteger, nullable=True),
    sa.Column("outstanding_minor", sa.BigInteger, nullable=True),
    sa.Column("balance_version", sa.Integer, nullable=True),
    sa.Column("snapshot_version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("closed_in_book", sa.Boolean, nullable=False, server_default="false"),
    sa.Column("closed_by_lender", sa.Boolean, nullable=False, server_default="false"),
)

payment = sa.Table(
    "payment",
    metadata,
    _key("borrower_id"),
    _key("loan_id"),
    _key("payment_id"),
    _flag("received"),
    _flag("reversed"),
    _flag("posted"),
    _flag("unposted"),
    _instant("uncounted_at", nullable=True),
    sa.Column("uncounted_version", sa.Integer, nullable=True),
)

decision = sa.Table(
    "decision",
    metadata,
    _key("borrower_id"),
    _key("attempt_id"),
    sa.Column("submission_number", sa.Integer, primary_key=True),
    _text("decision_id"),
    sa.Column("borrower_sequence", sa.BigInteger, nullable=False),
    _instant("decided_at"),
    _text("verdict"),
    _text("deciding_rule", nullable=True),
    _instant("permit_expires_at", nullable=True),
    sa.Column("message", sa.LargeBinary, nullable=False),
    sa.Column("evidence", sa.LargeBinary, nullable=False),
    _text("evidence_sha256"),
)

permit = sa.Table(
    "permit",
    metadata,
    _key("borrower_id"),
    _key("attempt_id"),
    sa.Column("submission_number", sa.Integer, primary_key=True),
    _text("decision_id"),
    sa.Column("borrower_sequence", sa.BigInteger, nullable=False),
    _text("channel"),
    _text("contact_point_id"),
    _text("number_key"),
    _json("balance_versions"),
    _text("strategy"),
    _text("provider", nullable=True),
    _instant("expires_at"),
    _text("cause_source"),
    _text("cause_id"),
    sa.Column("end_rank", sa.SmallInteger, nullable=False, server_default="0"),
    _text("end_reason", nullable=True),
    _text("revocation_id", nullable=True),
)

revocation = sa.Table(
    "revocation",
    metadata,
    _key("borrower_id"),
    _key("revocation_id"),
    sa.Column("borrower_sequence", sa.BigInteger, nullable=False),
    _instant("revoked_at"),
    _text("reason"),
    sa.Column("message", sa.LargeBinary, nullable=False),
)

held_review = sa.Table(
    "held_review",
    metadata,
    _key("borrower_id"),
    _key("decision_id"),
    _text("attempt_id"),
    sa.Column("submission_number", sa.Integer, nullable=False),
    _flag("approved"),
    _text("reviewed_by"),
    _text("reason"),
    _instant("reviewed_at"),
    *_order(),
)

stop = sa.Table(
    "stop",
    metadata,
    _key("borrower_id"),
    _key("stop_id"),
    _text("kind"),
    _text("value"),
    _flag("in_force"),
    _text("reason"),
    *_order(),
)

number = sa.Table("number", metadata, _key("number_key"))
"""One row to lock for each number that somebody was or may be contacted on."""

number_holder = sa.Table(
    "number_holder",
    metadata,
    _key("number_key"),
    _key("borrower_id"),
    _key("contact_point_id"),
    _instant("last_at"),
)

number_contact = sa.Table(
    "number_contact",
    metadata,
    _key("number_key"),
    _key("borrower_id"),
    _key("contact_id"),
    _instant("at"),
    _text("channel"),
    _text("party"),
    _text("purpose"),
    _text("made_by"),
    _text("state"),
    _text("result", nullable=True),
    _flag("counts"),
)

number_suppression = sa.Table(
    "number_suppression",
    metadata,
    _key("number_key"),
    _key("borrower_id"),
    _key("suppression_id"),
    _text("channel"),
    _instant("since"),
    _instant("until", nullable=True),
    _flag("in_force"),
)
