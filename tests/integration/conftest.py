"""Real servers for integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PostgreSQLServer, RedisServer, folder_for_postgresql


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running, empty Redis of this test's own."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of this test's own: the test runs once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'folder' / 'catalog.sqlite3'}"
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    return server.empty_database()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """A running PostgreSQL; each test takes a database of its own."""
    with folder_for_postgresql() as folder:
        server = PostgreSQLServer(folder)
        server.start()
        yield server
        server.stop()
