"""PostgreSQL's planner keeps no samples of what people are known by."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"

_COLUMNS = {
    "people": ("name",),
    "images": ("client_id", "digest", "metadata", "scores", "features"),
    "metadata_facts": ("fact",),
    "previous_features": ("scores", "features"),
    "erased_features": ("digest",),
}


def upgrade() -> None:
    # ANALYZE copies values of a column into pg_statistic, where an erasure would not reach them.
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in _COLUMNS.items():
            for column in columns:
                op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
