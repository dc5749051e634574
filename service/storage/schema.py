"""The version of a catalog's schema: what a database has, and how it comes to be this program's.

An empty database is in nobody's use, so whoever may make a catalog makes one there. One that has a schema is
brought to this program's by who has claimed it, and by nobody else: a service of an earlier version that runs
on it would fail at whatever it is asked from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, inspect, text

from service.storage.tables import AboutRow

__all__ = ["CatalogError", "NoCatalog", "is_current", "make", "migrate", "place_of"]

_VERSIONS: Final = Path(__file__).parent / "migrations"
_FIRST: Final = "0001"
_MIGRATING: Final = threading.Lock()  # Alembic keeps what it is about in its module
_OLDEST: Final = (13,)  # of PostgreSQL: it tells transactions' ids in 64 bits
_LOCK: Final = 0x50454E55  # of PostgreSQL's advisory locks: "PENU"


class CatalogError(RuntimeError):
    """The database is not a catalog that this version can use. The message says why."""


class NoCatalog(CatalogError):
    """There is none."""

    def __init__(self, url: URL) -> None:
        super().__init__(f"there is no catalog at {place_of(url)}; name it with --data-dir or --catalog-url")


def place_of(url: URL) -> str:
    """Where a database is, as people are told: a file's path, or an address without what is secret."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(query={}).render_as_string(hide_password=True)


def make(engine: Engine) -> bool:
    """Make the schema where there is none; one that is there, of whatever version, stays as it is.

    Returns:
        Whether it was made.

    Raises:
        CatalogError: the catalog was written by a later version of the program.
    """
    if _version(engine) is not None:
        return False
    return _migrate(engine, "head", lambda _: None, only_new=True)  # others may be about to


def migrate(engine: Engine, to: str = "head", first: Callable[[Connection], object] = lambda _: None) -> None:
    """Bring the schema to this program's version, in one transaction; processes that start at once wait.

    Args:
        to: a migration's number, or ``"head"`` for the last.
        first: is called in the transaction, before anything else is done in it.

    Raises:
        CatalogError: the catalog was written by a later version of the program.
    """
    _migrate(engine, to, first, only_new=False)


def is_current(engine: Engine) -> bool:
    """Whether the schema is this program's.

    Raises:
        NoCatalog: there is none.
        CatalogError: it was written by a later version of the program.
    """
    found = _version(engine)
    if found is None:
        raise NoCatalog(engine.url)
    return found == _scripts().get_current_head()


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return _version_seen(connection, _scripts())


def _version_seen(connection: Connection, scripts: ScriptDirectory) -> str | None:
    """The schema's version; None where there is no catalog."""
    at = MigrationContext.configure(connection).get_current_revision()
    if at is not None and at not in {script.revision for script in scripts.walk_revisions()}:
        raise CatalogError(
            f"the catalog has schema version {at}, this program knows those up to "
            f"{scripts.get_current_head()}: it was written by a later version"
        )
    if at is None and inspect(connection).has_table(AboutRow.__tablename__):
        return _FIRST  # a catalog from before there were migrations
    return at


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_VERSIONS))
    return config


@cache
def _scripts() -> ScriptDirectory:
    """The migrations; to read them takes some milliseconds."""
    return ScriptDirectory.from_config(_config())


def _migrate(engine: Engine, to: str, first: Callable[[Connection], object], only_new: bool) -> bool:
    config = _config()
    with _MIGRATING, engine.execution_options(writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            _refuse_old(connection)
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # a start has time
            first(connection)
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        else:
            first(connection)
        there = _version_seen(connection, _scripts())
        if only_new and there is not None:
            return False
        config.attributes["connection"] = connection
        if there == _FIRST:
            command.stamp(config, _FIRST)
        command.upgrade(config, to)
        return True


def _refuse_old(connection: Connection) -> None:
    version = connection.dialect.server_version_info or _OLDEST
    if version < _OLDEST:
        raise CatalogError(
            f"the catalog's PostgreSQL is of version {'.'.join(map(str, version))}; it needs "
            f"{_OLDEST[0]} or later"
        )
