"""Real servers for integration tests, each on a free loopback port with its own empty folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import redis


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A redis-server process that tests may stop, wipe and freeze."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.fail(
                "These tests need a real Redis, and there is no redis-server on PATH. "
                "Install it, e.g. `apt-get install redis-server`.",
                pytrace=False,
            )
        self._binary = binary
        self._folder = folder
        self._port = _free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it empty on the same port as ever, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                self._binary,
                "--port",
                str(self._port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.ConnectionError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("redis-server does not start", pytrace=False)
                time.sleep(0.02)

    def stop(self) -> None:
        """Kill it; everything in it is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and accepts new ones, but answers nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo :meth:`freeze`; what was asked meanwhile is answered now."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def client(self) -> redis.Redis:
        """A plain client, to look in and to interfere."""
        return redis.Redis.from_url(self.url)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running, empty Redis of this test's own."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


class PostgreSQLServer:
    """A PostgreSQL server that tests may stop and start; it refuses to run as root, so root gives it away."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("postgres") or next(
            (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))), None
        )
        if found is None:
            pytest.fail(
                "These tests need a real PostgreSQL server. Install it, e.g. `apt-get install postgresql`.",
                pytrace=False,
            )
        self._binaries = Path(found).resolve().parent
        self._folder = folder / "cluster"
        self._port = _free_port()
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "postgres"
            owner = pwd.getpwnam(self._user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._databases = 0
        self._process: subprocess.Popen[bytes] | None = None
        subprocess.run(
            [self._binaries / "initdb", "-D", self._folder, "-A", "trust", "-U", "penumbra", "--no-sync"],
            user=self._user,
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        """Start it with what it held before, and wait until it answers."""
        command = [self._binaries / "postgres", "-D", self._folder, "-p", str(self._port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        self._process = subprocess.Popen(
            command, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self._address("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("PostgreSQL does not start", pytrace=False)
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once; what was committed stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def empty_database(self) -> str:
        """SQLAlchemy's URL of a new database."""
        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self._address(name).replace("postgresql://", "postgresql+psycopg://")

    def _address(self, database: str) -> str:
        return f"postgresql://penumbra@127.0.0.1:{self._port}/{database}"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """A running PostgreSQL; each test takes a database of its own."""
    # pytest's own folders are closed to the user that PostgreSQL runs as.
    with TemporaryDirectory(prefix="penumbra-postgresql-") as folder:
        server = PostgreSQLServer(Path(folder))
        server.start()
        yield server
        server.stop()
