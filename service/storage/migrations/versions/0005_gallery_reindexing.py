"""To which model a gallery's pictures are being brought."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("galleries", sa.Column("reindexed_to", sa.String(64)))
