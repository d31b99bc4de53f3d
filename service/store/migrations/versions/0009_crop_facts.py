"""Add what the detector saw in a finished crop, from which a verdict follows at any threshold."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("crops", sa.Column("seen", sa.LargeBinary()))


def downgrade() -> None:
    op.drop_column("crops", "seen")
