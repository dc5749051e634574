"""The database of catalog, keys and audit trail. Its schema is :mod:`service.storage.schema`'s to change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from service.storage import schema
from service.storage.fence import ClaimLost, Fence
from service.storage.schema import CatalogError, NoCatalog, place_of
from service.storage.scrub import Scrub
from service.storage.tables import AboutRow
from service.storage.ulid import new_ulid
from service.storage.vacuum import Vacuum

__all__ = ["STORES", "CommitInDoubt", "Database", "open_engine"]

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

_ATTEMPTS: Final = 3  # of a transaction that met a concurrent writer's row, or lost its connection
CONNECTING: Final = {
    "client_encoding": "utf8",  # a database without an encoding, SQL_ASCII, would else be read as bytes
    "connect_timeout": 5,
    "keepalives_idle": 3,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Of PostgreSQL's driver, which takes a connection for lost after some 12 s."""

SERVERS_PATIENCE: Final = (
    "SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3"
)
"""The same of the server, to be said in each session: with it go its transaction and locks."""

STORES: Final = "stores"
"""Key of a session's ``info``: true from where its transaction stores rows of somebody."""

_WRITERS_S: Final = 5  # PostgreSQL: how long one waits for the end of the others
_BUSY_MS: Final = 10_000  # how long one waits for another writer; in PostgreSQL, for each lock
_CHECKPOINT_MS: Final = 100  # and the emptying of its log for readers, while nobody else can write


class CommitInDoubt(SQLAlchemyError):
    """The connection broke while the database was committing: it was done, or it was not.

    Attributes:
        result: what the transaction's work returned.
    """

    def __init__(self, result: Any) -> None:
        super().__init__("the connection to the catalog broke while it was committing")
        self.result = result


class Database:
    """The database at a SQLAlchemy URL.

    Args:
        url: where it is.
        rewritten_up_to: PostgreSQL: size of a table, bytes, up to which it is written anew after an erasure.
        new: where there is nothing yet, make it. Else that is refused: who looks for something, and made a
            mistake in saying where, must not find that there is nothing.
        older: open one of an earlier schema too, for :meth:`bring_up_to_date`, before which hardly anything
            can be asked of it. Else it is refused: a service of an earlier version may run on it.

    Attributes:
        engine: connections to read by.
        id: made with the database, 26 characters; names what belongs to it elsewhere.
        made: whether it is new.

    Raises:
        NoCatalog: there is none.
        CatalogError: it has another schema than this program's.
        sqlalchemy.exc.SQLAlchemyError: it cannot be reached.
    """

    def __init__(self, url: str, rewritten_up_to: int = 0, *, new: bool = True, older: bool = False) -> None:
        if not new:
            _refuse_a_file_that_is_missing(make_url(url))
        self.engine: Final = open_engine(url)
        self._vacuum = None if self.is_sqlite else Vacuum(self.engine, rewritten_up_to)
        self._later: Vacuum | Scrub = self._vacuum or Scrub(Path(str(self.engine.url.database)))
        self._log_holds_erased = True  # what an earlier process left
        self._forgetting = threading.Lock()
        self._fence: Fence | None = None
        try:
            self.made: Final = new and schema.make(self.engine)
            if not schema.is_current(self.engine) and not older:
                raise CatalogError(
                    f"the catalog at {place_of(self.engine.url)} was written by an earlier version of the "
                    "program; a start of this one's service brings it up to date, once no other runs on it"
                )
            self.id: Final = self._read_id() or self.transact(
                lambda session: AboutRow.get_or_make(session, "id", new_ulid)
            )
        except BaseException:
            self.engine.dispose()
            raise

    def _read_id(self) -> str | None:
        with self.engine.connect() as connection:
            return connection.scalar(select(AboutRow.value).where(AboutRow.key == "id"))

    def look(self) -> None:
        """See whether the database answers, at the price of reading one row.

        Raises:
            ClaimLost: another service has claimed the catalog.
            sqlalchemy.exc.SQLAlchemyError: it does not answer.
        """
        self._read_id()

    def bring_up_to_date(self) -> None:
        """Bring the schema to this program's version. To be called by who has claimed the catalog.

        Raises:
            ClaimLost: another service has claimed it since; nothing was changed.
            sqlalchemy.exc.SQLAlchemyError: it cannot be done.
        """
        if not schema.is_current(self.engine):
            schema.migrate(self.engine, first=self._let_in)

    def _let_in(self, connection: Connection) -> None:
        if self._fence is not None:
            self._fence.let_in(connection)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this machine."""
        return self.engine.dialect.name == "sqlite"

    def guard(self, fence: Fence) -> None:
        """Change nothing from here on that the fence does not let in; read nothing once the claim is lost."""
        self._fence = fence

        @event.listens_for(self.engine, "begin")
        def begin(connection: Connection) -> None:
            if fence.lost and not connection.get_execution_options().get("regardless", False):
                raise ClaimLost

    def begin(self) -> None:
        """Note that this process may be torn off in the middle of a change; before it makes any.

        Raises:
            ClaimLost: another service has claimed the catalog.
            sqlalchemy.exc.SQLAlchemyError: it could not be noted.
        """
        if self._vacuum is not None:
            self._vacuum.begun(self.transact(self._vacuum.note_begun))

    def transact(self, work: Callable[[Session], Result], regardless: bool = False) -> Result:
        """Run ``work`` in one transaction.

        Again if another writer's row came between check and insert, or if the connection was lost before
        the commit began.

        Args:
            regardless: also where another service has claimed the catalog since this one did; for rows that
                are in nobody's way.

        Raises:
            ClaimLost: another service has claimed the catalog; nothing was changed.
            CommitInDoubt: the connection was lost in the middle of the commit.
            sqlalchemy.exc.DBAPIError: any other fault; nothing was changed.
        """
        for attempt in range(_ATTEMPTS):
            committing = False
            result: Result
            session = Session(self.engine.execution_options(writes=True, regardless=regardless))
            try:
                with session, session.begin():
                    if not regardless:
                        self._let_in(session.connection())
                    result = work(session)
                    committing = True
                return result
            except BaseException as error:
                if self._vacuum is not None and session.info.get(STORES):
                    self._vacuum.note_torn()
                if not isinstance(error, DBAPIError):
                    raise
                if isinstance(error, IntegrityError) and attempt < _ATTEMPTS - 1:
                    continue
                if committing and not self.is_sqlite:  # which rolls back what it cannot commit
                    self.forget()  # what it erased, if it did
                    raise CommitInDoubt(result) from error
                if not error.connection_invalidated or attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def wait_for_writers(self) -> None:
        """Return when every transaction of this service has ended, those whose connection broke too.

        What a commit in doubt came to can be read then. Where nobody has claimed the catalog, and with
        SQLite, whose transactions end with their connection, nothing is waited for.

        Raises:
            ClaimLost: another service has claimed the catalog.
            sqlalchemy.exc.DBAPIError: one goes on for longer than is waited, or the database does not answer.
        """
        if self._fence is not None:
            with self.engine.begin() as connection:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WRITERS_S}s'")
                self._fence.wait_for_writers(connection)

    @property
    def unforgotten(self) -> bool:
        """Whether erased rows may still be in the database's files, see :meth:`forget`."""
        return self._later.owed or (self.is_sqlite and self._log_holds_erased)

    def forget(self) -> None:
        """After erasing: empty SQLite's write-ahead log, which still holds the erased rows.

        Where that cannot be (a reader holds on to it, the disk refuses), :attr:`unforgotten` says so until
        a later call succeeds. The erasure itself is committed and stands. What takes longer than anybody
        should wait for, to clear PostgreSQL's files and the pages of SQLite's, is noted, and done by
        :meth:`forget_owed`.
        """
        self._later.note()
        if self.is_sqlite:
            self._empty_log()

    def _empty_log(self) -> None:
        with self._forgetting:  # the last word is that of the last to look
            try:
                with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.exec_driver_sql(f"PRAGMA busy_timeout={_CHECKPOINT_MS}")
                    try:
                        (busy, _, _) = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
                    finally:
                        connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")
            except SQLAlchemyError as error:
                _log.warning("erased rows are still in the write-ahead log: %s", error)
                busy = True
            self._log_holds_erased = bool(busy)

    def forget_owed(self) -> None:
        """Do what :meth:`forget` could not do at once, or begin with it in the background."""
        if self.is_sqlite and self._log_holds_erased:
            self._empty_log()
        self._later.go_on()

    def close(self) -> None:
        """Close all connections."""
        known = self._later.close()
        if self._vacuum is not None and known:
            try:
                try:
                    self.transact(self._vacuum.leave)
                except ClaimLost:
                    self.transact(self._vacuum.hand_over, regardless=True)
            except SQLAlchemyError as error:
                _log.info("the next start will write all of PostgreSQL's tables anew: %s", error)
        self.engine.dispose()


def _refuse_a_file_that_is_missing(url: URL) -> None:
    """SQLite would make it."""
    file = url.get_backend_name() == "sqlite" and url.database
    if file and not Path(file).is_file():
        raise NoCatalog(url)


def open_engine(url: str) -> Engine:
    """An engine on a SQLAlchemy URL; for SQLite its folder is made where missing.

    Transactions that write say so by the execution option ``writes``.

    Raises:
        CatalogError: SQLite without a file.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _open_server(parsed)
    if parsed.database in (None, "", ":memory:"):
        raise CatalogError("the catalog needs a SQLite file: sqlite:////absolute/path, not an in-memory one")
    Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, hide_parameters=True)  # no names in what is logged of a fault

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # BEGIN is ours, see below
        for pragma in (
            f"busy_timeout={_BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # a transaction that reads and then writes must take the write lock first: upgrading can fail
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _open_server(url: URL) -> Engine:
    if url.get_backend_name() != "postgresql":
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    try:
        engine = create_engine(url, pool_pre_ping=True, connect_args=CONNECTING, hide_parameters=True)
    except ModuleNotFoundError as error:
        raise CatalogError(
            f"a catalog in PostgreSQL needs the extra `postgresql`: pip install 'penumbra-reid[postgresql]' "
            f"({error})"
        ) from error

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.autocommit = True  # a rollback would take it back
        connection.execute(f"{SERVERS_PATIENCE}; SET lock_timeout = {_BUSY_MS}; SET TIME ZONE 'UTC'")
        # Fence.let_in sees what was committed while it waited, which other levels do not show
        connection.execute("SET default_transaction_isolation = 'read committed'")
        connection.autocommit = False

    return engine
