"""
Add when all faces of a source were asked for again, and the boxes of guided searches; forget older judgements.

Which boxes earlier guided searches had is not known: only the faces that they found count as asked about.
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
    op.add_column("embeddings", sa.Column("asked", sa.JSON()))
    embeddings = sa.table("embeddings", sa.column("asked", sa.JSON), sa.column("recipe", sa.String))
    op.execute(embeddings.update().where(embeddings.c.recipe.startswith("guided;")).values(asked=[]))
    failures = sa.table("failures", sa.column("stage", sa.String), sa.column("reason", sa.String))
    crashes = ("at_crash", "crashes_embedder")
    op.execute(failures.delete().where(failures.c.stage == "embed", failures.c.reason.not_in(crashes)))
    facts = sa.table("facts", sa.column("name", sa.String))
    op.execute(facts.delete().where(facts.c.name == "min_face_short"))


def downgrade() -> None:
    op.drop_column("embeddings", "asked")
    op.drop_column("sources", "faces_asked_at")
