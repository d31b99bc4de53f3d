"""Forget why pictures failed: fetching rests the place of the bytes from now on, and no longer the bytes."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    failures = sa.table("failures", sa.column("stage", sa.String), sa.column("reason", sa.String))
    crashes = ("at_crash", "crashes_embedder")
    op.execute(failures.delete().where(failures.c.stage == "embed", failures.c.reason.not_in(crashes)))


def downgrade() -> None:
    """Do nothing: the pictures are tried again."""
