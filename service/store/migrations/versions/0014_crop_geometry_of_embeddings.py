"""Store detection, crop size and padding of embeddings in columns of their own instead of one text."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TEXT = re.compile(r"(?P<detection>\w+);crop=(?P<size>\d+);padding=(?P<padding>[\d.e+-]+)")


def upgrade() -> None:
    op.add_column("embeddings", sa.Column("detection", sa.String(length=20)))
    op.add_column("embeddings", sa.Column("crop_size", sa.Integer()))
    op.add_column("embeddings", sa.Column("crop_padding", sa.Float()))
    connection = op.get_bind()
    texts = connection.execute(sa.text("SELECT DISTINCT recipe FROM embeddings")).scalars().all()
    for text in texts:
        found = _TEXT.fullmatch(text)
        if found is None:  # no crop of unknown geometry suffices: it is made again
            values = {"detection": "unknown", "size": 0, "padding": 0.0}
        else:
            size, padding = int(found["size"]), float(found["padding"])
            values = {"detection": found["detection"], "size": size, "padding": padding}
        connection.execute(
            sa.text(
                "UPDATE embeddings SET detection = :detection, crop_size = :size, crop_padding = :padding "
                "WHERE recipe = :recipe"
            ),
            {**values, "recipe": text},
        )
    with op.batch_alter_table("embeddings") as batch:
        batch.alter_column("detection", existing_type=sa.String(length=20), nullable=False)
        batch.alter_column("crop_size", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("crop_padding", existing_type=sa.Float(), nullable=False)
        batch.drop_column("recipe")


def downgrade() -> None:
    op.add_column("embeddings", sa.Column("recipe", sa.String(length=100)))
    op.execute("UPDATE embeddings SET recipe = detection || ';crop=' || crop_size || ';padding=' || crop_padding")
    with op.batch_alter_table("embeddings") as batch:
        batch.alter_column("recipe", existing_type=sa.String(length=100), nullable=False)
        for name in ("detection", "crop_size", "crop_padding"):
            batch.drop_column(name)
