"""The claim of one service on a PostgreSQL catalog: a lock that its server frees when the service ends.

It belongs to one connection, which is held beside the engine's pool. Where that is cut, or the server is
started anew, the lock is free until it is taken again, a second after the server answers at the latest.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import Final

from sqlalchemy import URL, Connection, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

__all__ = ["PostgreSQLClaim"]

_log = logging.getLogger(__name__)

_PATIENCE_S: Final = 15.0
"""How long a lock is waited for that may be the one of a process or connection that has just ended."""

_LOOK_S: Final = 1.0
_LEAVE_S: Final = 5.0  # a server that is frozen may never answer

# After it either end takes a connection for lost, so that the other end's lock outlives nobody by more.
_CONNECTION: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 3,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SESSION: Final = (
    "SET tcp_keepalives_idle = 3",
    "SET tcp_keepalives_interval = 3",
    "SET tcp_keepalives_count = 3",
)

_TAKE: Final = text("SELECT pg_try_advisory_lock(:key)")
_ALIVE: Final = text("SELECT 1")


class PostgreSQLClaim:
    """A claim on the catalog at a URL, kept up by a thread of its own.

    Args:
        url: where the catalog is; sessions must be the client's own, not a pooler's.
        catalog: its id.
    """

    def __init__(self, url: URL, catalog: str) -> None:
        self._engine = create_engine(
            url,
            poolclass=NullPool,
            connect_args=_CONNECTION,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
        )
        digest = hashlib.sha256(f"penumbra {catalog}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._connection: Connection | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="claim", daemon=True)

    def take(self) -> bool:
        """Take the lock; whether that was possible, which it is not while another service has it.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        give_up = time.monotonic() + _PATIENCE_S
        while not self._taken():
            if time.monotonic() > give_up:
                self._engine.dispose()
                return False
            time.sleep(0.1)
        self._thread.start()
        return True

    def close(self) -> None:
        """Give the lock up."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(_LEAVE_S)

    def _taken(self) -> bool:
        """Whether a connection of this claim's has the lock, after an attempt where none had it."""
        if self._connection is not None:
            try:
                self._connection.execute(_ALIVE)
                return True
            except SQLAlchemyError:
                self._let_go()
        connection = self._engine.connect()
        taken = False
        try:
            for statement in _SESSION:
                connection.exec_driver_sql(statement)
            taken = bool(connection.execute(_TAKE, {"key": self._key}).scalar_one())
        finally:
            if taken:
                self._connection = connection
            else:
                connection.close()
        return taken

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _keep(self) -> None:
        refused_since: float | None = None
        told = False
        while not self._end.wait(_LOOK_S):
            try:
                if self._taken():
                    if told:
                        _log.warning("this service is alone on its catalog again")
                    refused_since, told = None, False
                    continue
            except SQLAlchemyError as error:
                _log.debug("the catalog's lock cannot be taken for now: %s", error)
                refused_since = None
                continue
            refused_since = time.monotonic() if refused_since is None else refused_since
            if not told and time.monotonic() - refused_since > _PATIENCE_S:
                told = True
                _log.error("another service runs on the same catalog; neither finds what the other stores")
        self._let_go()
        self._engine.dispose()
