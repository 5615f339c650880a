"""Payments that the balance did not show when they were booked.

Adds two columns without a default to `payment`: ACCESS EXCLUSIVE, for the moment that the catalogue takes.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE payment ADD COLUMN uncounted_at timestamptz, ADD COLUMN uncounted_version integer")
    op.execute("COMMENT ON COLUMN payment.uncounted_at IS 'when it was booked, if a later-dated snapshot hid it then'")
    op.execute("COMMENT ON COLUMN payment.uncounted_version IS 'the version of the loan''s balance at that booking'")


def downgrade() -> None:
    op.execute("ALTER TABLE payment DROP COLUMN uncounted_at, DROP COLUMN uncounted_version")
