"""Add what an asset last showed, memberships of absent faces, and people that are gone but may return."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assets", sa.Column("content", sa.String(64)))
    op.execute(
        "UPDATE assets SET content = "
        "(SELECT sha256 FROM fingerprints WHERE fingerprints.fingerprint = assets.fingerprint) WHERE NOT is_gone"
    )
    op.create_index("ix_assets_content", "assets", ["content"])
    op.add_column("people", sa.Column("is_gone", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "former_members",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("x1", sa.Float(), nullable=False),
        sa.Column("y1", sa.Float(), nullable=False),
        sa.Column("x2", sa.Float(), nullable=False),
        sa.Column("y2", sa.Float(), nullable=False),
        sa.Column("identity", sa.Integer(), nullable=False),
        sa.Column("how", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "x1", "y1", "x2", "y2", name="pk_former_members"),
        sa.ForeignKeyConstraint(["identity"], ["identities.number"], name="fk_former_members_identity_identities"),
    )


def downgrade() -> None:
    op.drop_table("former_members")
    op.drop_column("people", "is_gone")
    op.drop_index("ix_assets_content", "assets")
    op.drop_column("assets", "content")
