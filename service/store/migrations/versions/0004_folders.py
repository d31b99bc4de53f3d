"""Add folders as sources: their roots, the stamp of a file at its reading, and ids as long as paths."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_WIDENED = (("assets", "asset_id", 200), ("hints", "asset_id", 200), ("failures", "item", 300))


def upgrade() -> None:
    op.add_column("sources", sa.Column("root", sa.Text()))
    op.add_column("sources", sa.Column("mode", sa.String(length=20)))
    op.add_column("assets", sa.Column("stamp", sa.String(length=80)))
    for table, column, length in _WIDENED:
        with op.batch_alter_table(table) as batch:
            batch.alter_column(
                column, existing_type=sa.String(length=length), type_=sa.String(length=1000), existing_nullable=False
            )


def downgrade() -> None:
    for table, column, length in _WIDENED:
        with op.batch_alter_table(table) as batch:
            batch.alter_column(
                column, existing_type=sa.String(length=1000), type_=sa.String(length=length), existing_nullable=False
            )
    op.drop_column("assets", "stamp")
    op.drop_column("sources", "mode")
    op.drop_column("sources", "root")
