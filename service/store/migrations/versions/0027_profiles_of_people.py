"""Add the export profiles that are switched off for an identity."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identities", sa.Column("profiles_off", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("identities", "profiles_off")
