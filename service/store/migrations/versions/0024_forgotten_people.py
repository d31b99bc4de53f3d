"""Add what keeps forgotten people from coming back, and what is still to be erased of them."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column(
            "decision_id",
            _ROW_ID,
            sa.ForeignKey("decisions.decision_id", name="fk_erasures_decision_id_decisions"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "forgotten_faces",
        sa.Column("place_id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column(
            "decision_id",
            _ROW_ID,
            sa.ForeignKey("erasures.decision_id", name="fk_forgotten_faces_decision_id_erasures"),
            nullable=False,
        ),
        sa.Column("digest", sa.String(64), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("x1", "y1", "x2", "y2")),
    )
    op.create_index("ix_forgotten_faces_digest", "forgotten_faces", ["digest"])
    op.create_table(
        "forgotten_marks",
        sa.Column(
            "decision_id",
            _ROW_ID,
            sa.ForeignKey("erasures.decision_id", name="fk_forgotten_marks_decision_id_erasures"),
            primary_key=True,
        ),
        sa.Column("digest", sa.String(64), primary_key=True),
    )
    op.create_index("ix_forgotten_marks_digest", "forgotten_marks", ["digest"])
    op.create_table("erased_pictures", sa.Column("sha256", sa.String(64), primary_key=True))


def downgrade() -> None:
    for table in ("erased_pictures", "forgotten_marks", "forgotten_faces", "erasures"):
        op.drop_table(table)
