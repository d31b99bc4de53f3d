"""Add persistent eras: their names, their faces, and the basis of the last computation."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "eras",
        sa.Column("identity", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("from_year", sa.Integer()),
        sa.Column("main_year", sa.Integer()),
        sa.Column("to_year", sa.Integer()),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity"], ["identities.number"], name="fk_eras_identity_identities", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("identity", "name", name="pk_eras"),
    )
    op.create_table(
        "era_faces",
        sa.Column("face_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("identity", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("is_founder", sa.Boolean(), nullable=False),
        sa.Column("confidence", sa.Float()),
        sa.ForeignKeyConstraint(["face_id"], ["faces.face_id"], name="fk_era_faces_face_id_faces", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["identity", "name"], ["eras.identity", "eras.name"], name="fk_era_faces_identity_eras", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("face_id", "identity", name="pk_era_faces"),
    )
    op.create_index("ix_era_faces_era", "era_faces", ["identity", "name"])
    op.create_table(
        "era_looks",
        sa.Column("identity", sa.Integer(), nullable=False),
        sa.Column("basis", sa.String(length=300), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity"], ["identities.number"], name="fk_era_looks_identity_identities", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("identity", name="pk_era_looks"),
    )


def downgrade() -> None:
    op.drop_table("era_looks")
    op.drop_index("ix_era_faces_era", table_name="era_faces")
    op.drop_table("era_faces")
    op.drop_table("eras")
