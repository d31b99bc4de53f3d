"""Add the review queue: what a person should look at."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "review_items",
        sa.Column("item_id", _ROW_ID, primary_key=True),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("reason", sa.String(30), nullable=False),
        sa.Column("identity", sa.Integer()),
        sa.Column("other", sa.Integer()),
        sa.Column("face_id", _ROW_ID, sa.ForeignKey("faces.face_id", ondelete="CASCADE")),
        sa.Column("part", sa.JSON(), nullable=False),
        sa.Column("sizes", sa.JSON(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("settles", sa.Integer(), nullable=False),
        sa.Column("is_exported", sa.Boolean(), nullable=False),
        sa.Column("benefit", sa.Float(), nullable=False),
        sa.Column("comes_last", sa.Boolean(), nullable=False),
        sa.Column("basis", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_review_items_key", "review_items", ["key"], unique=True)
    for column in ("identity", "other", "face_id"):
        op.create_index(f"ix_review_items_{column}", "review_items", [column])


def downgrade() -> None:
    op.drop_table("review_items")
