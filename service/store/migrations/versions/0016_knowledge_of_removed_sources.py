"""Add what stays of removed sources for the rule for minors: places of faces, and dates of pictures."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "past_places",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("x1", "y1", "x2", "y2")),
        sa.PrimaryKeyConstraint("source", "person_id", "sha256", "x1", "y1", "x2", "y2", name="pk_past_places"),
    )
    op.create_table(
        "past_dates",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("local_date", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("source", "sha256", "local_date", name="pk_past_dates"),
    )


def downgrade() -> None:
    op.drop_table("past_dates")
    op.drop_table("past_places")
