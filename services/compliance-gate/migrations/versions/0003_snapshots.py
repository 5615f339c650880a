"""Which balance of a loan came of a snapshot, so that a payment doesn't pass for one.

Adds a column with a constant default to `loan`: ACCESS EXCLUSIVE, for the moment that the catalogue takes. Of loans
that are there no snapshot is known: what waits for one waits its hours.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE loan ADD COLUMN snapshot_version integer NOT NULL DEFAULT 0")
    op.execute("COMMENT ON COLUMN loan.snapshot_version IS 'the highest that a snapshot gave; 0: none is known'")


def downgrade() -> None:
    op.execute("ALTER TABLE loan DROP COLUMN snapshot_version")
