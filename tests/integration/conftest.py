"""Real servers for integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.servers import PostgreSQLServer, RedisServer


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running, empty Redis of this test's own."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """A running PostgreSQL; each test takes a database of its own."""
    # pytest's own folders are closed to the user that PostgreSQL runs as.
    with TemporaryDirectory(prefix="penumbra-postgresql-") as folder:
        server = PostgreSQLServer(Path(folder))
        server.start()
        yield server
        server.stop()
