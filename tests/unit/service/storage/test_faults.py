"""Which errors of database and disk are told to the caller, and as what."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError

from service.problems import StorageFull, Unavailable
from service.storage.database import CommitInDoubt, Database
from service.storage.faults import storage_problem
from service.storage.fence import ClaimLost


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EROFS, Unavailable),
        (errno.EIO, Unavailable),
        (errno.ENOENT, None),
        (errno.ECONNRESET, None),
    ],
)
def test_a_disk_that_is_full_or_refuses_is_told(number: int, kind: type | None) -> None:
    found = storage_problem(OSError(number, "x"))
    assert found is None if kind is None else isinstance(found, kind)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull("x"), StorageFull),
        (psycopg.errors.AdminShutdown("x"), Unavailable),
        (psycopg.errors.CannotConnectNow("x"), Unavailable),
        (psycopg.errors.TooManyConnections("x"), Unavailable),
        (psycopg.errors.ReadOnlySqlTransaction("x"), Unavailable),
        (psycopg.errors.DeadlockDetected("x"), Unavailable),
        (psycopg.errors.LockNotAvailable("x"), Unavailable),
        (psycopg.errors.QueryCanceled("x"), Unavailable),
        (psycopg.OperationalError("connection refused"), Unavailable),
        (psycopg.errors.SyntaxError("x"), None),
        (psycopg.errors.UndefinedTable("x"), None),
    ],
)
def test_a_postgresql_that_does_not_answer_is_told(error: Exception, kind: type | None) -> None:
    found = storage_problem(DBAPIError.instance("SELECT 1", None, error, psycopg.Error))  # type: ignore[arg-type]
    assert found is None if kind is None else isinstance(found, kind)


def test_a_commit_in_doubt_is_told() -> None:
    assert isinstance(storage_problem(CommitInDoubt(None)), Unavailable)


def test_a_catalog_that_is_another_services_is_told() -> None:
    problem = storage_problem(ClaimLost())
    assert isinstance(problem, Unavailable)
    assert "another service has taken the catalog over" in problem.detail.lower()


def test_a_fault_of_this_program_is_not_the_storages(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x'}")
    with engine.connect() as connection, pytest.raises(OperationalError) as wrong:
        connection.execute(text("SELECT * FROM nowhere"))
    assert storage_problem(wrong.value) is None
    assert storage_problem(IntegrityError("x", None, sqlite3.IntegrityError("x"))) is None
    assert storage_problem(ValueError("x")) is None


def test_a_full_sqlite_and_a_locked_one_are_told(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x'}", connect_args={"timeout": 0})
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
        connection.execute(text("PRAGMA max_page_count = 2"))
        with pytest.raises(SQLAlchemyError) as full:
            connection.execute(text("INSERT INTO t VALUES (zeroblob(100000))"))
        assert isinstance(storage_problem(full.value), StorageFull)
        connection.rollback()
        connection.execute(text("BEGIN EXCLUSIVE"))
        with engine.connect() as other, pytest.raises(SQLAlchemyError) as locked:
            other.execute(text("INSERT INTO t VALUES (1)"))
        assert isinstance(storage_problem(locked.value), Unavailable)


def test_work_whose_connection_is_lost_before_the_commit_is_done_anew(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x'}")
    tries = []

    def work(session: object) -> str:
        tries.append(session)
        if len(tries) == 1:
            raise DBAPIError("x", None, sqlite3.OperationalError("gone"), connection_invalidated=True)
        return "done"

    assert database.transact(work) == "done"
    assert len(tries) == 2
    database.close()
