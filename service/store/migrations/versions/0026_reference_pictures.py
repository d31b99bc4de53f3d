"""Add reference pictures of people, and the questions about them."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SIDES = ("x1", "y1", "x2", "y2")


def upgrade() -> None:
    op.create_table(
        "reference_pictures",
        sa.Column("reference_id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in _SIDES),
        *(sa.Column(f"area_{name}", sa.Float(), nullable=False) for name in _SIDES),
        sa.Column("sent_for", sa.Integer(), nullable=False),
        sa.Column("rival", sa.Integer()),
        sa.Column("display", sa.Text(), nullable=False),
        sa.Column("aligned", sa.Text()),
        sa.Column("original", sa.Text()),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reference_pictures_digest", "reference_pictures", ["digest"], unique=True)
    op.create_table(
        "reference_vectors",
        sa.Column(
            "reference_id",
            _ROW_ID,
            sa.ForeignKey(
                "reference_pictures.reference_id",
                name="fk_reference_vectors_reference_id_reference_pictures",
                ondelete="CASCADE",
            ),
            primary_key=True,
        ),
        sa.Column("space", sa.String(64), primary_key=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        *(
            sa.Column(name, sa.Float(), nullable=False)
            for name in ("det_score", "blur", "brightness", "contrast", "yaw")
        ),
        sa.Column("quality", sa.Float()),
    )
    op.add_column("review_items", sa.Column("reference_id", _ROW_ID))


def downgrade() -> None:
    op.drop_column("review_items", "reference_id")
    op.drop_table("reference_vectors")
    op.drop_table("reference_pictures")
