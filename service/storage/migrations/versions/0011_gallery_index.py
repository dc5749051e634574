"""How a gallery's index keeps its pictures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("galleries", sa.Column("index", sa.String(16), nullable=False, server_default="auto"))
