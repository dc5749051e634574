"""Taking erased rows out of PostgreSQL's files.

A deleted row stays in its table's file: as a dead row until VACUUM, and from then on as bytes of a page that
nothing points to, until another row is written over them. Only a file that was written anew (VACUUM FULL) is
without them; but while a table is written anew, nobody can read it. So small tables are written anew, which
takes a moment, and large ones are vacuumed. Both run in the background, several erasures' together.

What was written to the write-ahead log is not reached from here; service/README.md says how long it stays.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any, Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from service.storage.tables import AboutRow, AuditRow, Base, GalleryRow, KeyRow

__all__ = ["Vacuum"]

_log = logging.getLogger(__name__)

_SHARE: Final = 0.05
"""Of the time, that is spent on it at most, however much is erased."""

_NOBODYS: Final = {row.__tablename__ for row in (AboutRow, AuditRow, GalleryRow, KeyRow)}
"""Tables that say nothing of anybody who can be erased; the audit trail has keyed hashes."""

_SEEN_FOR_S: Final = 10.0
"""How long to wait for those who began to read before the erasure: what they see is not taken away."""

_SIZE: Final = text("SELECT pg_total_relation_size(to_regclass(:name))")
_NOW: Final = text("SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text")
_STILL_SEEN: Final = text(
    "SELECT count(*) FROM ("
    "SELECT greatest(age(backend_xmin), age(backend_xid)) FROM pg_stat_activity "
    "WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid() "
    "UNION ALL SELECT age(xmin) FROM pg_replication_slots"  # what standbys read, by hot_standby_feedback
    ") AS held (back) WHERE back > age(CAST(:now AS xid))"
)


class _StillSeen(RuntimeError):
    """Somebody still reads the database as it was before the erasure."""


class Vacuum:
    """Vacuums the catalog's tables in a thread of its own, while there is something to do.

    Args:
        engine: of the PostgreSQL catalog.
        rewritten_up_to: size of a table, its indexes and long values included, bytes, up to which it is
            written anew.
    """

    def __init__(self, engine: Engine, rewritten_up_to: int) -> None:
        self._engine = engine
        self._rewritten_up_to = rewritten_up_to
        self._lock = threading.Lock()
        self._noted = True  # what an earlier process left
        self._not_before = 0.0
        self._thread: threading.Thread | None = None
        self._driver: Any = None  # psycopg's connection, while there is one
        self._closed = False

    @property
    def owed(self) -> bool:
        """Whether erased rows may still be in the files."""
        with self._lock:
            return self._noted or self._thread is not None

    def note(self) -> None:
        """Something was erased."""
        with self._lock:
            self._noted = True

    def go_on(self) -> None:
        """Begin with what is owed, unless that is under way or would take too large a share of the time."""
        with self._lock:
            waits = self._thread is not None or time.monotonic() < self._not_before
            if self._noted and not waits and not self._closed:
                self._thread = threading.Thread(target=self._work, name="vacuum", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Break off what is under way; it is owed to the next start."""
        with self._lock:
            self._closed = True
            thread = self._thread
        while thread is not None and thread.is_alive():
            driver = self._driver
            if driver is not None:
                with contextlib.suppress(Exception):  # it may end this moment
                    driver.cancel()
            thread.join(0.1)

    def _work(self) -> None:
        with self._lock:
            self._noted = False  # what is erased from here on is owed again
        spent_s = 0.0
        done = False
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                self._driver = connection.connection.driver_connection
                connection.detach()  # what is set below must not reach others through the pool
                self._until_nobody_sees(connection)
                for table in Base.metadata.sorted_tables:
                    if table.name not in _NOBODYS and not self._closed:
                        spent_s += self._vacuum(connection, table.name)
            done = not self._closed
        except (SQLAlchemyError, _StillSeen) as error:
            _log.info("erased rows are still in PostgreSQL's files, trying again: %s", error)
        except Exception:
            _log.exception("PostgreSQL's tables could not be vacuumed")
        finally:
            with self._lock:
                self._noted = self._noted or not done
                self._not_before = time.monotonic() + spent_s * (1 / _SHARE - 1)
                self._driver = None
                self._thread = None

    def _until_nobody_sees(self, connection: Connection) -> None:
        """Wait for who began before this moment, such as a dump."""
        now = connection.execute(_NOW).scalar_one()
        give_up = time.monotonic() + _SEEN_FOR_S
        while connection.execute(_STILL_SEEN, {"now": now}).scalar_one() and not self._closed:
            if time.monotonic() > give_up:
                raise _StillSeen("a transaction from before the erasure goes on")
            time.sleep(0.05)

    def _vacuum(self, connection: Connection, name: str) -> float:
        """Returns how many seconds it took."""
        size = connection.execute(_SIZE, {"name": name}).scalar_one()
        anew = size is not None and size <= self._rewritten_up_to
        # Who waits for a whole table keeps others waiting behind it; who waits to vacuum is in nobody's way.
        connection.exec_driver_sql(f"SET lock_timeout = '{'100ms' if anew else '10s'}'")
        quoted = self._engine.dialect.identifier_preparer.quote(name)
        options = "FULL" if anew else "INDEX_CLEANUP ON"
        began = time.monotonic()
        connection.exec_driver_sql(f"VACUUM ({options}) {quoted}")
        return time.monotonic() - began
