"""Add the quality of a face and the confidence of a membership."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("faces", sa.Column("quality", sa.Float()))
    op.add_column("memberships", sa.Column("confidence", sa.Float()))


def downgrade() -> None:
    op.drop_column("memberships", "confidence")
    op.drop_column("faces", "quality")
