"""Mark former members whose identity ended, so that they bring its number back and not a membership."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("former_members") as batch:
        batch.add_column(sa.Column("is_dissolved", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.execute("DELETE FROM former_members WHERE is_dissolved")
    with op.batch_alter_table("former_members") as batch:
        batch.drop_column("is_dissolved")
