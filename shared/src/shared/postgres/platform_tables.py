"""The tables that every service's database has: what was consumed, what waits to be published, how far it got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

metadata = sa.MetaData()

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("ce_source", sa.Text, primary_key=True),
    sa.Column("ce_id", sa.Text, primary_key=True),
    sa.Column("body_sha256", sa.LargeBinary, nullable=False),
    sa.Column("published", sa.LargeBinary, nullable=True, comment="the messages that answered it, packed"),
    sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("borrower_id", sa.Text, primary_key=True),
    sa.Column("outbox_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("message", sa.LargeBinary, nullable=False),
    sa.Index("outbox_in_order", "outbox_id"),
)

applied_offset = sa.Table(
    "applied_offset",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
)


def create(operations: Operations) -> None:
    """Make the platform's tables inside a service's first migration."""
    metadata.create_all(operations.get_bind())


def drop(operations: Operations) -> None:
    """Take them away again."""
    metadata.drop_all(operations.get_bind())
