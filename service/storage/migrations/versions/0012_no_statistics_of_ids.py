"""PostgreSQL's planner keeps no samples of pictures' ids either, nor those that it had of people before."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

_COLUMNS = {
    "people": {"name": "VARCHAR(256)"},
    "images": {
        "id": "VARCHAR(26)",
        "client_id": "VARCHAR(256)",
        "digest": "VARCHAR(64)",
        "metadata": "JSON",
        "scores": "BYTEA",
        "features": "BYTEA",
    },
    "metadata_facts": {"fact": "VARCHAR(64)"},
    "previous_features": {"scores": "BYTEA", "features": "BYTEA"},
    "erased_features": {"digest": "VARCHAR(64)"},
}


def upgrade() -> None:
    # SET STATISTICS 0 keeps what ANALYZE had sampled; stating the type, and be it the same, removes that.
    # Of the same type nothing is written anew.
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in _COLUMNS.items():
            for column, type in columns.items():
                op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
                op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {type}")
