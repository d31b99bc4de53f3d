"""Add how many videos and motion photos a source has; unknown until its next whole listing."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("videos", sa.Integer()))
    op.add_column("sources", sa.Column("motion_photos", sa.Integer()))


def downgrade() -> None:
    op.drop_column("sources", "motion_photos")
    op.drop_column("sources", "videos")
