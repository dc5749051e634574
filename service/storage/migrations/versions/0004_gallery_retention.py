"""How long a gallery keeps its pictures and what is made of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("galleries", sa.Column("retention_days", sa.Integer))
