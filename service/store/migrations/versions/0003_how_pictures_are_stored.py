"""Add the orientation of a stored picture, for readers that know only the stored one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contents", sa.Column("orientation", sa.Integer()))


def downgrade() -> None:
    op.drop_column("contents", "orientation")
