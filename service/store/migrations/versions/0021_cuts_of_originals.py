"""Add the cuts: pictures around faces that show more of their originals than the crops do."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cuts",
        sa.Column("face_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("framing", sa.String(length=20), nullable=False),
        sa.Column("planned", sa.String(length=64), nullable=False),
        sa.Column("pixels", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("x1", sa.Float(), nullable=False),
        sa.Column("y1", sa.Float(), nullable=False),
        sa.Column("x2", sa.Float(), nullable=False),
        sa.Column("y2", sa.Float(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("check_key", sa.String(length=64), nullable=False),
        sa.Column("others", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["face_id"], ["faces.face_id"], name="fk_cuts_face_id_faces", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("face_id", "framing", name="pk_cuts"),
    )


def downgrade() -> None:
    op.drop_table("cuts")
