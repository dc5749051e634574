"""Erased rows leave SQLite's write-ahead log, at the latest when the last reader lets go of it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from service.storage.database import Database

SECRET = "Somebody Unforgettable"


def on_disk(folder: Path) -> bool:
    return any(SECRET.encode() in path.read_bytes() for path in folder.iterdir())


def test_a_reader_that_holds_on_delays_forgetting_and_that_is_known(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    store = text("INSERT INTO about (key, value) VALUES ('who', :who)")
    database.transact(lambda session: session.execute(store, {"who": SECRET}))
    with database.engine.connect() as reader:
        reader.exec_driver_sql("PRAGMA busy_timeout=0")
        reader.execute(text("SELECT * FROM about")).all()  # from here on it reads this moment
        database.transact(lambda session: session.execute(text("DELETE FROM about WHERE key = 'who'")))
        with database.engine.connect() as other:
            other.exec_driver_sql("PRAGMA busy_timeout=0")  # the pool hands this connection out next
        database.forget()
        assert database.unforgotten
        assert on_disk(tmp_path)
    database.forget()
    assert not database.unforgotten
    assert not on_disk(tmp_path)
    database.close()
