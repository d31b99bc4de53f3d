"""
Add what the date of each picture is worth, and what was ever stated of births and of whose faces are whose.

The next sync reads all dates again.

Until then the date of a file that had one is taken for a camera's, and that of Immich for one from metadata.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assets", sa.Column("date_kind", sa.String(length=10), nullable=False, server_default="metadata"))
    op.execute("UPDATE assets SET date_kind = 'file' WHERE local_date = ''")
    folders = "SELECT name FROM sources WHERE kind = 'folder'"
    op.execute(f"UPDATE assets SET date_kind = 'camera' WHERE local_date <> '' AND source IN ({folders})")  # noqa: S608
    op.execute(f"UPDATE assets SET stamp = NULL WHERE source IN ({folders})")  # noqa: S608
    op.execute("UPDATE sources SET full_listing_at = NULL")
    op.create_table(
        "births",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("account", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=200), nullable=False),
        sa.Column("birth_date", sa.String(length=10), nullable=False),
        sa.Column("is_last", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("source", "account", "person_id", "birth_date", name="pk_births"),
    )
    op.execute(
        "INSERT INTO births (source, account, person_id, birth_date, is_last) "
        "SELECT people.source, coalesce(sources.user_id, ''), person_id, birth_date, true FROM people "
        "LEFT JOIN sources ON sources.name = people.source WHERE birth_date IS NOT NULL"
    )

    op.create_table(
        "past_links",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=200), nullable=False),
        sa.Column("identity", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["identity"], ["identities.number"], name="fk_past_links_identity_identities"),
        sa.PrimaryKeyConstraint("source", "person_id", "identity", name="pk_past_links"),
    )
    op.execute("INSERT INTO past_links SELECT source, person_id, identity FROM people WHERE identity IS NOT NULL")
    op.create_table(
        "past_hints",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("asset_id", sa.String(length=1000), nullable=False),
        sa.Column("face_id", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=200), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("x1", "y1", "x2", "y2")),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("image_width", "image_height")),
        sa.PrimaryKeyConstraint("source", "asset_id", "face_id", "person_id", name="pk_past_hints"),
    )


def downgrade() -> None:
    op.drop_table("past_hints")
    op.drop_table("past_links")
    op.drop_table("births")
    op.drop_column("assets", "date_kind")
