"""Taking erased rows out of PostgreSQL's files.

A deleted row stays in its table's file: as a dead row until VACUUM, and from then on as bytes of a page that
nothing points to, until another row is written over them. Only a file that was written anew (VACUUM FULL) is
without them; but while a table is written anew, nobody can read it. So the tables that grow with the pictures
are divided (``migrations/versions/0013_divided_tables.py``), and only the parts that a row was deleted from
are written anew, one after the other, each in a moment. That runs in the background, several erasures'
together.

Which relations that is owed to is noted by triggers in the transaction that deletes, in ``owed_rewrites``.
No trigger tells of rows of a transaction that was rolled back, or that died with its process: after those it
is owed to all of them. So a service that has claimed the catalog notes that too, before it stores anything,
and strikes it out when it ends in order.

What was written to the write-ahead log is not reached from here; service/storage/README.md says how long
it stays.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from service.storage.owed_work import NEEDS_HELP_S, OwedWork
from service.storage.tables import (
    ErasedRow,
    FactRow,
    FeaturesRow,
    ImageRow,
    OwedRewriteRow,
    PersonRow,
    PreviousRow,
)

__all__ = ["Vacuum"]

_log = logging.getLogger(__name__)

_TELLING: Final = (ImageRow, FeaturesRow, PreviousRow, FactRow, PersonRow, ErasedRow)
"""Tables that say something of somebody who can be erased; the audit trail has keyed hashes."""

_ALL: Final = "*"
"""Stands for all of their relations among the notes."""

_BEGIN: Final = (
    insert(OwedRewriteRow).values(relation=_ALL).on_conflict_do_nothing().returning(OwedRewriteRow.relation)
)
_NOTES: Final = select(OwedRewriteRow.relation).where(OwedRewriteRow.relation != _ALL)

_SEEN_FOR_S: Final = 10.0
"""How long to wait for those who began to read before the erasure: what they see is not taken away."""

_RELATIONS: Final = text(
    "SELECT relname FROM pg_class LEFT JOIN pg_inherits ON inhrelid = oid "
    "WHERE relkind = 'r' AND coalesce(inhparent, oid) = ANY (CAST(:tables AS regclass[]))"
)
"""Tables that are not divided, and the parts of those that are."""

_SIZE: Final = text("SELECT pg_total_relation_size(to_regclass(:name))")
_FILE: Final = text("SELECT pg_relation_filenode(to_regclass(:name))")
_NOW: Final = text("SELECT pg_current_xact_id()::xid::text")  # younger than who saw a note that is taken
_STILL_SEEN: Final = text(
    "SELECT count(*) FROM ("
    # VACUUM FULL keeps what the oldest writer of the whole server might see, and readers of this database
    "SELECT CASE WHEN datname = current_database() OR datname IS NULL "
    "THEN greatest(age(backend_xmin), age(backend_xid)) ELSE age(backend_xid) END "
    "FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    "UNION ALL SELECT age(transaction) FROM pg_prepared_xacts "
    "UNION ALL SELECT age(xmin) FROM pg_replication_slots"  # what standbys read, by hot_standby_feedback
    ") AS held (back) WHERE back > age(CAST(:now AS xid))"
)


class _StillSeen(RuntimeError):
    """Somebody still reads the database as it was before the erasure."""


class _NotOurs(RuntimeError):
    """PostgreSQL passes over a table that belongs to another role, with nothing but a warning."""


class Vacuum(OwedWork):
    """Vacuums the catalog's tables while that is owed.

    Args:
        engine: of the PostgreSQL catalog.
        rewritten_up_to: size of a table or part, its indexes and long values included, bytes, up to which it
            is written anew.
    """

    def __init__(self, engine: Engine, rewritten_up_to: int) -> None:
        super().__init__("vacuum")
        self._engine = engine
        self._rewritten_up_to = rewritten_up_to
        self._torn = False
        self._begun = False
        self._owed: set[str] = set()  # of notes that were taken, what is not done; of the thread alone
        self._too_large: list[str] = []
        self._driver: Any = None  # psycopg's connection, while there is one

    def note_begun(self, session: Session) -> bool:
        """Note that a process may leave rows of transactions that were torn, until it says otherwise.

        Returns:
            Whether an earlier process has noted that and not struck it out, to be told :meth:`begun`.
        """
        return session.execute(_BEGIN).first() is None

    def begun(self, left: bool) -> None:
        """That is noted; where an earlier process left its note, it is owed to all of the relations."""
        with self._lock:
            self._torn = self._torn or left
            self._begun = True

    def note_torn(self) -> None:
        """A transaction that had stored rows was rolled back."""
        with self._lock:
            self._noted = self._torn = True

    def close(self) -> bool:
        """Break off what is under way; it is owed to the next start.

        Returns:
            Whether :meth:`leave` can say what that is; else the next start owes it to all of the relations.
        """
        return self._break_off() and self._begun and not self._torn

    def _interrupt(self) -> None:
        driver = self._driver
        if driver is not None:
            with contextlib.suppress(Exception):  # it may end this moment
                driver.cancel_safe(timeout=1.0)

    def leave(self, session: Session) -> None:
        """This process ends in order: to the next one that alone is owed which is noted."""
        self.hand_over(session)
        session.execute(delete(OwedRewriteRow).where(OwedRewriteRow.relation == _ALL))

    def hand_over(self, session: Session) -> None:
        """Note again what was taken and is not done: it may be the erasure of who took the catalog over."""
        for relation in self._owed:
            session.execute(insert(OwedRewriteRow).values(relation=relation).on_conflict_do_nothing())

    def _do(self) -> bool:
        with self._lock:
            torn, self._torn = self._torn, False
        try:
            with self._engine.connect() as connection:
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                self._driver = connection.connection.driver_connection
                connection.detach()  # what is set below must not reach others through the pool
                self._take_notes(connection, torn)
                torn = False
                self._until_nobody_sees(connection)
                self._too_large.clear()
                for relation in sorted(self._owed):
                    if not self._closed:
                        self._spent_s += self._vacuum(connection, relation)
            if self._too_large:
                _log.warning(
                    "erased rows stay in the files of what is larger than PENUMBRA_CATALOG_REWRITE_BYTES: %s",
                    ", ".join(self._too_large),
                )
            return not self._owed
        except (SQLAlchemyError, _StillSeen) as error:
            _log.info("erased rows are still in PostgreSQL's files, trying again: %s", error)
        except _NotOurs as error:
            self._spent_s = max(self._spent_s, NEEDS_HELP_S)
            _log.warning("erased rows are still in PostgreSQL's files: %s", error)
        finally:
            with self._lock:
                self._torn = self._torn or torn
            self._driver = None
        return False

    def _take_notes(self, connection: Connection, torn: bool) -> None:
        """Take the notes: whoever erases from here on notes it again, and the rest is waited for."""
        left = not self._begun and connection.execute(_BEGIN).first() is None  # of who claims nothing
        if left or torn:
            tables = [row.__tablename__ for row in _TELLING]
            self._owed |= set(connection.execute(_RELATIONS, {"tables": tables}).scalars())
        self._begun = True
        noted = set(connection.execute(_NOTES).scalars())
        self._owed |= noted
        connection.execute(delete(OwedRewriteRow).where(OwedRewriteRow.relation.in_(noted)))

    def _until_nobody_sees(self, connection: Connection) -> None:
        """Wait for who began before this moment, such as a dump."""
        now = connection.execute(_NOW).scalar_one()
        give_up = time.monotonic() + _SEEN_FOR_S
        while connection.execute(_STILL_SEEN, {"now": now}).scalar_one() and not self._closed:
            if time.monotonic() > give_up:
                raise _StillSeen("a transaction from before the erasure goes on")
            time.sleep(0.05)

    def _vacuum(self, connection: Connection, relation: str) -> float:
        """Returns how many seconds it took."""
        size = connection.execute(_SIZE, {"name": relation}).scalar_one()
        if size is None:
            self._owed.remove(relation)
            return 0.0
        anew = size <= self._rewritten_up_to
        if not anew:
            self._too_large.append(relation)
        # Who waits for a whole table keeps others waiting behind it; who waits to vacuum is in nobody's way.
        connection.exec_driver_sql(f"SET lock_timeout = '{'100ms' if anew else '10s'}'")
        quoted = self._engine.dialect.identifier_preparer.quote(relation)
        options = "FULL" if anew else "INDEX_CLEANUP ON"
        file = connection.execute(_FILE, {"name": relation}).scalar_one()
        began = time.monotonic()
        try:
            connection.exec_driver_sql(f"VACUUM ({options}) {quoted}")
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            _log.debug("%s cannot be written anew for now: %s", relation, error)
        else:
            if anew and file == connection.execute(_FILE, {"name": relation}).scalar_one():
                raise _NotOurs(f"the catalog's role must own {relation}: PostgreSQL does not vacuum it")
            self._owed.remove(relation)
        return time.monotonic() - began
