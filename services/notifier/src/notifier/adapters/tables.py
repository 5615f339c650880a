"""The notifier's tables. Every key starts with the borrower, or with the hash of a number, except where a carrier
names neither: its receipts are keyed by the attempt, its deliveries by their own id, an operator's stop by its id.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

metadata: Final = sa.MetaData()
_INSTANT: Final = sa.DateTime(timezone=True)

borrower = sa.Table(
    "borrower",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("event_time", _INSTANT, comment="with the two below: the order key of the profile that is here"),
    sa.Column("event_source", sa.Text),
    sa.Column("event_id", sa.Text),
    sa.Column("region", sa.Text),
    sa.Column("zones", ARRAY(sa.Text)),
    sa.Column("name_sealed", BYTEA),
)

borrower_key = sa.Table(
    "borrower_key",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("wrapped_key", BYTEA, nullable=False, comment="under the master key; deleting it erases the borrower"),
)

contact_point = sa.Table(
    "contact_point",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("contact_point_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("value_sealed", BYTEA),
    sa.Column("number_hash", BYTEA),
)

permit = sa.Table(
    "permit",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("attempt_id", sa.Text, primary_key=True),
    sa.Column("submission_number", sa.Integer, primary_key=True),
    sa.Column("decision_id", sa.Text, nullable=False),
    sa.Column("borrower_sequence", sa.BigInteger, nullable=False),
    sa.Column("expires_at", _INSTANT, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("contact_point_id", sa.Text, nullable=False),
    sa.Column("loans", ARRAY(sa.Text), nullable=False),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False, server_default="demand"),
    sa.Column("attempt_json", BYTEA, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("provider", sa.Text),
    sa.Column("owner", sa.Text, comment="the process that sends it or looks it up"),
    sa.Column("lease_until", _INSTANT, comment="wall time, by the database's clock"),
    sa.Column("claimed_at", _INSTANT, comment="wall time of the last claim, by the database's clock"),
    sa.Column("sent_at", _INSTANT, comment="business time of the claim; absent: nobody used it"),
    sa.Column("ended_at", _INSTANT),
    sa.Column("message_id", sa.Text),
    sa.Column("number_hash", BYTEA),
    sa.Column("result", sa.Text, comment="what the receipts come to together"),
)

revocation = sa.Table(
    "revocation",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("borrower_sequence", sa.BigInteger, primary_key=True),
    sa.Column("revocation_id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text),
    sa.Column("contact_point_id", sa.Text),
    sa.Column("loans", ARRAY(sa.Text)),
    sa.Column("strategy", sa.Text),
    sa.Column("provider", sa.Text),
    sa.Column(
        "recorded_at",
        _INSTANT,
        nullable=False,
        comment="wall time by the database's clock; later than every claim that it didn't prevent",
    ),
)

operator_stop = sa.Table(
    "operator_stop",
    metadata,
    sa.Column("stop_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("changed_at", _INSTANT, nullable=False),
    sa.Column("lifted", sa.Boolean, nullable=False),
)

suppression = sa.Table(
    "suppression",
    metadata,
    sa.Column("number_hash", BYTEA, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("inbound_id", sa.Text, nullable=False),
    sa.Column("since", _INSTANT, nullable=False),
)

receipt = sa.Table(
    "receipt",
    metadata,
    sa.Column("attempt_id", sa.Text, primary_key=True),
    sa.Column("receipt_id", sa.Text, primary_key=True),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("occurred_at", _INSTANT, nullable=False),
    sa.Column("applied", sa.Boolean, nullable=False),
)

inbound = sa.Table(
    "inbound",
    metadata,
    sa.Column("number_hash", BYTEA, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("inbound_id", sa.Text, primary_key=True),
    sa.Column("received_at", _INSTANT, nullable=False),
    sa.Column("intent", sa.Text, nullable=False),
    sa.Column("borrowers", sa.Integer, nullable=False, comment="how many it was given to; 0: the number is unknown"),
)

inbound_reply = sa.Table(
    "inbound_reply",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("inbound_id", sa.Text, primary_key=True),
    sa.Column("intent", sa.Text, nullable=False),
    sa.Column("attempt_id", sa.Text),
    sa.Column("received_at", _INSTANT, nullable=False),
    sa.Column("text_sealed", BYTEA, nullable=False),
)

webhook_delivery = sa.Table(
    "webhook_delivery",
    metadata,
    sa.Column("delivery_id", sa.Text, primary_key=True),
    sa.Column("seen_at", _INSTANT, nullable=False),
)

contact_audit = sa.Table(
    "contact_audit",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("audited_at", _INSTANT, primary_key=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("acted_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
