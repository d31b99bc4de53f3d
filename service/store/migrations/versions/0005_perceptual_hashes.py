"""Add the perceptual hash of a whole picture, for finding similar pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contents", sa.Column("phash", sa.String(length=16)))


def downgrade() -> None:
    op.drop_column("contents", "phash")
