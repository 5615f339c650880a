"""What a permit is for, so that the one confirmation of an opt-out may pass the suppression that it confirms.

Adds a column with a constant default to `permit`: ACCESS EXCLUSIVE, for the moment that the catalogue takes. A permit
that is there is a demand to this column, which no suppression lets pass.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE permit ADD COLUMN purpose text NOT NULL DEFAULT 'demand'")


def downgrade() -> None:
    op.execute("ALTER TABLE permit DROP COLUMN purpose")
