"""Add where and why each decision was made, an id of its own in every installation, and what decisions set of identities."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_IDENTITY_COLUMNS = ("is_stranger", "merged_into", "cover")
_DECISION_COLUMNS = ("uid", "batch", "made_from", "reason", "members")


def upgrade() -> None:
    op.add_column("identities", sa.Column("is_stranger", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("identities", sa.Column("merged_into", sa.Integer()))
    op.add_column("identities", sa.Column("cover", sa.JSON()))
    op.add_column("decisions", sa.Column("batch", sa.String(40)))
    op.add_column("decisions", sa.Column("made_from", sa.String(20), nullable=False, server_default="command"))
    op.add_column("decisions", sa.Column("reason", sa.Text(), nullable=False, server_default=""))
    op.add_column("decisions", sa.Column("members", sa.JSON()))
    op.add_column("decisions", sa.Column("uid", sa.String(40)))
    op.create_index("ix_decisions_uid", "decisions", ["uid"], unique=True)


def downgrade() -> None:
    op.drop_index("ix_decisions_uid", "decisions")
    for name in _DECISION_COLUMNS:
        op.drop_column("decisions", name)
    for name in _IDENTITY_COLUMNS:
        op.drop_column("identities", name)
