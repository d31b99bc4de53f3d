"""
Add when all faces of a source were asked for again, and forget what was judged by older rules.

Fetching rests the place of the bytes, and no longer the bytes. Boxes without area are worth a download.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("faces_asked_at", sa.DateTime(timezone=True)))
    failures = sa.table("failures", sa.column("stage", sa.String), sa.column("reason", sa.String))
    crashes = ("at_crash", "crashes_embedder")
    op.execute(failures.delete().where(failures.c.stage == "embed", failures.c.reason.not_in(crashes)))
    facts = sa.table("facts", sa.column("name", sa.String))
    op.execute(facts.delete().where(facts.c.name == "min_face_short"))


def downgrade() -> None:
    op.drop_column("sources", "faces_asked_at")
