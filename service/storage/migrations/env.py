"""Alembic's entry: migrations run on the connection that ``service.storage.schema.migrate`` opened.

A new one: change ``service/storage/tables.py``, then add a file to ``versions/`` by hand, numbered on;
``tests/integration/service/storage/test_migrations.py`` holds the two against each other.
"""

from __future__ import annotations

from alembic import context

from service.storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter a column: the table is copied instead.
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
