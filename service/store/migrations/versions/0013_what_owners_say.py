"""Add the faces that owners moved by hand in a source, and the person who gives an identity its name."""

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
    op.add_column("identities", sa.Column("named_by_source", sa.String(length=200)))
    op.add_column("identities", sa.Column("named_by_person", sa.String(length=200)))
    _keep_names()


def _keep_names() -> None:
    """Let each identity keep the name that was shown: by source and person id, those of folders last."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT people.identity, people.source, people.person_id FROM people "
            "LEFT JOIN sources ON sources.name = people.source "
            "WHERE people.identity IS NOT NULL AND people.name <> '' "
            "ORDER BY people.identity, CASE WHEN sources.kind = 'folder' THEN 1 ELSE 0 END, people.source, "
            "people.person_id"
        )
    ).all()
    named = set()
    for number, source, person in rows:
        if number not in named:
            named.add(number)
            connection.execute(
                sa.text(
                    "UPDATE identities SET named_by_source = :source, named_by_person = :person WHERE number = :number"
                ),
                {"source": source, "person": person, "number": number},
            )


def downgrade() -> None:
    op.drop_column("identities", "named_by_person")
    op.drop_column("identities", "named_by_source")
    op.drop_index("ix_moved_faces_place", table_name="moved_faces")
    op.drop_table("moved_faces")
