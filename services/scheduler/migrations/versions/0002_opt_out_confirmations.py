"""Attempts that confirm an opt-out.

Widens a check on `attempt`: ACCESS EXCLUSIVE for the moment that the catalogue takes, then SHARE UPDATE EXCLUSIVE while
the rows that are there are read once.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
_CHECK = "ALTER TABLE attempt ADD CONSTRAINT attempt_purpose_check CHECK (purpose IN ({})) NOT VALID"


def upgrade() -> None:
    op.execute("ALTER TABLE attempt DROP CONSTRAINT attempt_purpose_check")
    op.execute(_CHECK.format("'reminder', 'demand', 'opt_out_confirmation'"))
    op.execute("ALTER TABLE attempt VALIDATE CONSTRAINT attempt_purpose_check")


def downgrade() -> None:
    op.execute("ALTER TABLE attempt DROP CONSTRAINT attempt_purpose_check")
    op.execute(_CHECK.format("'reminder', 'demand'"))
