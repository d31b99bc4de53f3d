"""Add the identities that resembled a minor when pictures of the minor went."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "past_likenesses",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=200), nullable=False),
        sa.Column("identity", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["identity"], ["identities.number"], name="fk_past_likenesses_identity_identities"),
        sa.PrimaryKeyConstraint("source", "person_id", "identity", name="pk_past_likenesses"),
    )


def downgrade() -> None:
    op.drop_table("past_likenesses")
