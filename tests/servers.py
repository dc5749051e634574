"""Real servers for tests and long proofs, each on a free loopback port with its own empty folder."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import redis

_ENOUGH = 4 * 1024**3


class ServerMissing(RuntimeError):
    """The server is not installed, or does not start. The message says what to do."""


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A redis-server process that tests may stop, wipe and freeze.

    Args:
        folder: for its dump, which is not compressed, so that one can search it byte by byte.
        keeps: whether it has its data again after :meth:`stop` and :meth:`start`, as a Redis with
            persistence does.

    Raises:
        ServerMissing: there is none on the path.
    """

    def __init__(self, folder: Path, keeps: bool = False) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            raise ServerMissing(
                "These tests need a real Redis, and there is no redis-server on PATH. "
                "Install it, e.g. `apt-get install redis-server`."
            )
        self._binary = binary
        self._folder = folder
        self._keeps = keeps
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.socket_url = f"unix://{folder / 'redis.sock'}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on the same port as ever, and wait until it answers."""
        command = [self._binary, "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--rdbcompression", "no"]
        command += ["--unixsocket", "redis.sock"]  # in its folder
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.ConnectionError as error:  # also while it loads its dump
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise ServerMissing("redis-server does not start") from error
                time.sleep(0.02)

    def stop(self) -> None:
        """Kill it; everything in it is gone, unless it keeps what it has."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        if self._keeps:
            with self.client() as client:
                client.save()
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

    def dump(self) -> bytes:
        """All that is in it, as the bytes of an uncompressed dump."""
        with self.client() as client:
            client.save()
        return (self._folder / "dump.rdb").read_bytes()

    def client(self) -> redis.Redis:
        """A plain client, to look in and to interfere."""
        return redis.Redis.from_url(self.url)


@contextmanager
def folder_for_postgresql() -> Iterator[Path]:
    """An empty folder, for as long as the context lasts; in memory where there is room.

    pytest's own folders are closed to the user that PostgreSQL runs as. And a server with a database for each
    test makes and removes thousands of files.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ENOUGH
    with TemporaryDirectory(prefix="penumbra-postgresql-", dir=memory if roomy else None) as folder:
        yield Path(folder)


class PostgreSQLServer:
    """A PostgreSQL server that tests may stop and start; it refuses to run as root, so root gives it away.

    Raises:
        ServerMissing: it is not installed.
    """

    def __init__(self, folder: Path) -> None:
        found = shutil.which("postgres") or next(
            (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))), None
        )
        if found is None:
            raise ServerMissing(
                "These tests need a real PostgreSQL server. Install it, e.g. `apt-get install postgresql`."
            )
        self._binaries = Path(found).resolve().parent
        self._folder = folder / "cluster"
        self._port = free_port()
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
        # What it has written outlives it, however it ends: only the machine's end would need the disk.
        command += ["-c", "fsync=off"]
        self._process = subprocess.Popen(
            command, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise ServerMissing("PostgreSQL does not start") from error
                time.sleep(0.05)

    def stop(self, crash: bool = False) -> None:
        """Stop it at once; what was committed stays.

        Args:
            crash: as after a power cut, instead of in order.
        """
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections, and its machine takes new ones, but nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo :meth:`freeze`; what was asked meanwhile is answered now."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        # its own process first, so that there are no more of its children than are found
        os.kill(self._process.pid, number)
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parent = path.read_text().rpartition(")")[2].split()[1]
                if int(parent) == self._process.pid:
                    os.kill(int(path.parent.name), number)

    def cut_connections(self) -> int:
        """End every connection but this one, whatever it does; answers how many there were."""
        with self._connect() as connection:
            cut = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
            return int(cut[0]) if cut else 0

    def empty_database(self) -> str:
        """SQLAlchemy's URL of a new database."""
        self._databases += 1
        name = f"test_{self._databases}"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self._address(name).replace("postgresql://", "postgresql+psycopg://")

    def held(self, url: str) -> bytes:
        """All bytes of the server's files, but for the write-ahead log and other databases than this.

        Args:
            url: as :meth:`empty_database` gave it.
        """
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            found = connection.execute(
                "SELECT oid FROM pg_database WHERE datname = current_database()"
            ).fetchone()
        assert found is not None
        contents = []
        for path in self._folder.rglob("*"):
            elsewhere = "base" in path.parts and path.parent.name != str(found[0])
            if not elsewhere and "pg_wal" not in path.parts and path.is_file():
                with contextlib.suppress(FileNotFoundError):  # the server removes files at any moment
                    contents.append(path.read_bytes())
        return b"".join(contents)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._address("postgres"), autocommit=True, connect_timeout=5)

    def _address(self, database: str) -> str:
        return f"postgresql://penumbra@127.0.0.1:{self._port}/{database}"
