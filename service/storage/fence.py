"""Whose changes a PostgreSQL catalog takes: those of the service that claimed it last, of no other.

The lock by which a service claims the catalog (:mod:`service.storage.claim`) belongs to a connection, and a
connection may be cut while its service goes on. So whoever has taken the lock writes a token of its own into
the catalog, and every transaction of a service looks first whether the token is still its own. It does so
under an advisory lock that the service's transactions share until they end, and that a new owner takes alone:
it waits for those that have looked, and reads what they committed; those that look after it are refused. An
advisory lock's queue is fair, where share locks on the token's row could keep a new owner waiting for good.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from service.storage.ulid import new_ulid

__all__ = ["ClaimLost", "Fence", "advisory_key"]

_log = logging.getLogger(__name__)

_OWNER: Final = "SELECT value FROM about WHERE key = 'owner'"
_OWN: Final = text(
    "INSERT INTO about (key, value) VALUES ('owner', :token) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_ALONE: Final = text("SELECT pg_advisory_lock(:key)")
_NOT_ALONE: Final = text("SELECT pg_advisory_unlock(:key)")
_AFTER_ALL: Final = text("SELECT pg_advisory_xact_lock(:key)")


class ClaimLost(SQLAlchemyError):
    """Another service has claimed the catalog: nothing was changed, and nothing more is read."""

    def __init__(self) -> None:
        super().__init__("another service has taken the catalog over")


def advisory_key(what: str, catalog: str) -> int:
    """The number of one of a catalog's advisory locks."""
    digest = hashlib.sha256(f"{what} {catalog}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class Fence:
    """One claim's token. Safe from several threads.

    Args:
        catalog: the catalog's id.
        on_lost: called once, from whichever thread finds that another service has claimed the catalog.
    """

    def __init__(self, catalog: str, on_lost: Callable[[], None] = lambda: None) -> None:
        self._token = new_ulid()
        self._writers = {"key": advisory_key("penumbra writers", catalog)}
        self._let_in = f"SELECT pg_advisory_xact_lock_shared({self._writers['key']}); {_OWNER}"
        self._on_lost = on_lost
        self._finding = threading.Lock()
        self._lost = False

    @property
    def lost(self) -> bool:
        """Whether another service is known to have claimed the catalog; then that is so for good."""
        return self._lost

    def put_up(self, connection: Connection) -> None:
        """Write the token, once the transactions of earlier owners have ended; no more of theirs is let in.

        Args:
            connection: the one that holds the claim's lock, in autocommit.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: they did not end within the connection's ``lock_timeout``, or the
                database does not answer.
        """
        connection.execute(_ALONE, self._writers)
        try:
            connection.execute(_OWN, {"token": self._token})
        finally:
            connection.execute(_NOT_ALONE, self._writers)

    def look(self, connection: Connection) -> None:
        """See whether the token stands.

        Raises:
            ClaimLost: it is another's.
        """
        self._compare(connection.exec_driver_sql(_OWNER).one_or_none())

    def _compare(self, owner: Sequence[object] | None) -> None:
        if not self._lost and owner is not None and owner[0] == self._token:
            return
        with self._finding:
            first, self._lost = not self._lost, True
        if first:
            _log.critical("another service has taken the catalog over: this one changes nothing more")
            self._on_lost()
        raise ClaimLost

    def let_in(self, connection: Connection) -> None:
        """Begin a transaction that changes something: the token stands until the transaction's end.

        Raises:
            ClaimLost: it is another's.
        """
        # Two statements on one way there and back: the second sees what was committed while the first waited.
        found = connection.exec_driver_sql(self._let_in)
        found.cursor.nextset()
        self._compare(found.cursor.fetchone())

    def wait_for_writers(self, connection: Connection) -> None:
        """Wait for the end of all transactions that were let in, in a transaction that was not."""
        connection.execute(_AFTER_ALL, self._writers)
