"""How a gallery decides: its own false-match rates and prior."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("match_rate", "uncertain_rate", "prior"):
        op.add_column("galleries", sa.Column(name, sa.Float))
