"""Finding a gallery's pictures by their content."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_index("images_by_digest", "images", ["gallery", "digest"])
