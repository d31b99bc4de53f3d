"""Forget the hashes of crops: they are those of aligned faces now, and are computed anew by the next publish."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE crops SET phash = NULL")


def downgrade() -> None:
    op.execute("UPDATE crops SET phash = NULL")
