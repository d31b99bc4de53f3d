"""
Add what the date of each picture is worth, and read the dates of all pictures again.

Until then the date of a file that had one is taken for a camera's, and that of Immich for one from metadata.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assets", sa.Column("date_kind", sa.String(length=10), nullable=False, server_default="metadata"))
    op.execute("UPDATE assets SET date_kind = 'file' WHERE local_date = ''")
    folders = "SELECT name FROM sources WHERE kind = 'folder'"
    op.execute(f"UPDATE assets SET date_kind = 'camera' WHERE local_date <> '' AND source IN ({folders})")  # noqa: S608
    op.execute(f"UPDATE assets SET stamp = NULL WHERE source IN ({folders})")  # noqa: S608
    op.execute("UPDATE sources SET full_listing_at = NULL")


def downgrade() -> None:
    op.drop_column("assets", "date_kind")
