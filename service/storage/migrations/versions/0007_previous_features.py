"""Features of the previous model, as long as it answers for a gallery."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "previous_features",
        sa.Column("image", _NUMBER, sa.ForeignKey("images.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("occlusion", sa.SmallInteger, nullable=False),
        sa.Column("scores", sa.LargeBinary),
        sa.Column("features", sa.LargeBinary, nullable=False),
    )
