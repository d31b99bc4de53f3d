"""Add the faces that users sorted with other tools before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imported_faces",
        sa.Column("person_id", sa.String(length=200), nullable=False),
        sa.Column("face_key", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64)),
        sa.Column("places", sa.JSON(), nullable=False),
        sa.Column("x1", sa.Float()),
        sa.Column("y1", sa.Float()),
        sa.Column("x2", sa.Float()),
        sa.Column("y2", sa.Float()),
        sa.Column("era", sa.String(length=200)),
        sa.Column("from_year", sa.Integer()),
        sa.Column("to_year", sa.Integer()),
        sa.PrimaryKeyConstraint("person_id", "face_key", name="pk_imported_faces"),
    )


def downgrade() -> None:
    op.execute("DELETE FROM people WHERE source = ''")
    op.drop_table("imported_faces")
