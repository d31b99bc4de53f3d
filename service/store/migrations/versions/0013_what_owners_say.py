"""Add the faces that owners moved by hand in a source."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "moved_faces",
        sa.Column("move_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("asset_id", sa.String(length=1000), nullable=False),
        sa.Column("x1", sa.Float(), nullable=False),
        sa.Column("y1", sa.Float(), nullable=False),
        sa.Column("x2", sa.Float(), nullable=False),
        sa.Column("y2", sa.Float(), nullable=False),
        sa.Column("taken_from", sa.String(length=200), nullable=False),
        sa.Column("given_to", sa.String(length=200)),
        sa.PrimaryKeyConstraint("move_id", name="pk_moved_faces"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_moved_faces_place", "moved_faces", ["source", "asset_id"])


def downgrade() -> None:
    op.drop_index("ix_moved_faces_place", table_name="moved_faces")
    op.drop_table("moved_faces")
