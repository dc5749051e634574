"""The claim of one service on a PostgreSQL catalog: a lock that its server frees when the service ends.

It belongs to one connection, which is held beside the engine's pool. Where that is cut, or the server is
started anew, the lock is free until it is taken again, a second after the server answers at the latest. If
another service takes it in that moment, the catalog is that one's (:mod:`service.storage.fence`).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from sqlalchemy import URL, Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from service.storage.database import CONNECTING, SERVERS_PATIENCE
from service.storage.fence import ClaimLost, Fence, advisory_key

__all__ = ["PostgreSQLClaim"]

_log = logging.getLogger(__name__)

_PATIENCE_S: Final = 15.0
"""How long a lock is waited for that may be the one of a process, connection or transaction about to end."""

_LOOK_S: Final = 1.0
_LEAVE_S: Final = 5.0  # a server that is frozen may never answer

_TAKE: Final = text("SELECT pg_try_advisory_lock(:key)")
_ALIVE: Final = text("SELECT 1")
_LOCK_NOT_AVAILABLE: Final = "55P03"


class PostgreSQLClaim:
    """A claim on the catalog at a URL, kept up by a thread of its own.

    Args:
        url: where the catalog is; sessions must be the client's own, not a pooler's.
        catalog: its id.
        fence: is put up when the lock is first taken.
    """

    def __init__(self, url: URL, catalog: str, fence: Fence) -> None:
        self._engine = create_engine(
            url,
            poolclass=NullPool,
            connect_args=CONNECTING,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
        )
        self._key = advisory_key("penumbra", catalog)
        self._fence = fence
        self._connection: Connection | None = None
        self._up = False  # the fence
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="claim", daemon=True)

    def take(self) -> bool:
        """Take the lock and put the fence up; whether that was possible.

        It is not while another service has the lock, or a transaction of an earlier owner goes on.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        give_up = time.monotonic() + _PATIENCE_S
        while not self._taken():
            if time.monotonic() > give_up:
                self._engine.dispose()
                return False
            time.sleep(0.1)
        assert self._connection is not None
        try:
            self._fence.put_up(self._connection)
        except OperationalError as error:
            self._let_go()
            self._engine.dispose()
            if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
                return False
            raise
        self._up = True
        self._thread.start()
        return True

    def close(self) -> None:
        """Give the lock up."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(_LEAVE_S)

    def _taken(self) -> bool:
        """Whether a connection of this claim's has the lock, after an attempt where none had it.

        Raises:
            ClaimLost: another service had it since.
        """
        if self._connection is not None:
            try:
                self._connection.execute(_ALIVE)
                return True
            except SQLAlchemyError:
                self._let_go()
        connection = self._engine.connect()
        taken = False
        try:
            connection.exec_driver_sql(f"{SERVERS_PATIENCE}; SET lock_timeout = '{_PATIENCE_S:g}s'")
            if connection.execute(_TAKE, {"key": self._key}).scalar_one():
                taken = True
            if self._up:
                self._fence.look(connection)
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
        while not self._end.wait(_LOOK_S):
            try:
                self._taken()
            except ClaimLost:
                break
            except SQLAlchemyError as error:
                _log.debug("the catalog's lock cannot be taken for now: %s", error)
        self._let_go()
        self._engine.dispose()
