"""Erased rows leave SQLite's write-ahead log, at the latest when the last reader lets go of it."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from service.storage.database import Database
from tests.reading import contents_of

SECRET = "Somebody Unforgettable"


def on_disk(folder: Path) -> bool:
    return any(SECRET.encode() in content for content in contents_of(folder).values())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """It holds the secret."""
    opened = Database(f"sqlite:///{tmp_path / 'data' / 'catalog.sqlite3'}")
    store = text("INSERT INTO about (key, value) VALUES ('who', :who)")
    opened.transact(lambda session: session.execute(store, {"who": SECRET}))
    yield opened
    opened.close()


def erase(database: Database) -> None:
    database.transact(lambda session: session.execute(text("DELETE FROM about WHERE key = 'who'")))


def forgotten(database: Database) -> None:
    """Return when it is; the log is emptied at once, and rests in pages in the background."""
    give_up = time.monotonic() + 60
    while database.unforgotten:
        assert time.monotonic() < give_up
        database.forget_owed()
        time.sleep(0.02)


def test_a_reader_that_holds_on_delays_forgetting_and_that_is_known(
    database: Database, tmp_path: Path
) -> None:
    with database.engine.connect() as reader:
        reader.execute(text("SELECT * FROM about")).all()  # from here on it reads this moment
        erase(database)
        database.forget()
        assert database.unforgotten
        assert on_disk(tmp_path / "data")
    forgotten(database)
    assert not on_disk(tmp_path / "data")


def test_what_a_killed_process_still_owed_is_owed_by_the_next(database: Database, tmp_path: Path) -> None:
    with database.engine.connect() as reader:
        reader.execute(text("SELECT * FROM about")).all()
        erase(database)
        database.forget()
        # as a kill at this moment leaves it
        subprocess.run(["cp", "-r", tmp_path / "data", tmp_path / "left"], check=True)
    again = Database(f"sqlite:///{tmp_path / 'left' / 'catalog.sqlite3'}")
    assert on_disk(tmp_path / "left")
    assert again.unforgotten
    forgotten(again)
    assert not on_disk(tmp_path / "left")
    again.close()


def test_writers_do_not_wait_for_a_reader_that_holds_on(database: Database, tmp_path: Path) -> None:
    with database.engine.connect() as reader:
        reader.execute(text("SELECT * FROM about")).all()
        erase(database)
        forgetting = threading.Thread(target=database.forget)
        forgetting.start()
        writer = sqlite3.connect(tmp_path / "data" / "catalog.sqlite3", timeout=5, isolation_level=None)
        while forgetting.is_alive():
            writer.execute("BEGIN IMMEDIATE")  # raises after 5 s
            writer.execute("ROLLBACK")
        writer.close()
        forgetting.join()
        assert database.unforgotten
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 10_000
