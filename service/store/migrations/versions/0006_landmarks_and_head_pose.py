"""Add landmarks and head pose of the faces that may be exported."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "enrichments",
        sa.Column("face_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("models", sa.String(length=64), nullable=False),
        sa.Column("landmarks_106", sa.LargeBinary()),
        sa.Column("landmarks_68", sa.LargeBinary()),
        sa.Column("yaw", sa.Float()),
        sa.Column("pitch", sa.Float()),
        sa.Column("roll", sa.Float()),
        sa.ForeignKeyConstraint(
            ["face_id"], ["faces.face_id"], name="fk_enrichments_face_id_faces", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("face_id", name="pk_enrichments"),
    )


def downgrade() -> None:
    op.drop_table("enrichments")
