"""Of deleted rows nothing stays in SQLite's file, whoever else uses it meanwhile."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from service.storage import scrub_pages
from service.storage.database import Database
from service.storage.scrub import command
from tests.residue import Residue
from tests.waiting import until


def scrubbed(file: Path, parent: int | None = None) -> tuple[int, str]:
    """Exit status of the scrubbing, and what it said."""
    done = subprocess.run(command(file, parent or os.getpid()), stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr


def make(file: Path, pragma: str) -> None:
    """A database of that kind."""
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE a (b)")
    connection.close()


def with_rests(file: Path) -> Residue:
    """A database whose file keeps something of deleted rows, though all was overwritten where it lay."""
    rows = Residue(file, seed=1)
    for _ in range(5000):
        if rows.step():
            rows.empty_log()
            if rows.found() & rows.gone:
                return rows
    raise AssertionError("this SQLite leaves no rests: then there is nothing to scrub")


def test_rests_that_secure_delete_leaves_are_gone_and_nothing_else_is(tmp_path: Path) -> None:
    file = tmp_path / "a folder, with #?% in it"
    file.mkdir()
    file = file / "catalog.sqlite3"
    rows = with_rests(file)
    assert scrubbed(file) == (0, "")
    assert not rows.found() & rows.gone
    assert rows.sound()
    assert {row[0]: row[1:] for row in rows.connection.execute("SELECT * FROM residue")} == rows.there


def test_beside_writers_and_readers(tmp_path: Path) -> None:
    """Nothing comes back from what they remember of pages, or with pages that change their places."""
    file = tmp_path / "catalog.sqlite3"
    users = [Residue(file, seed) for seed in (1, 2)]
    stopped = threading.Event()
    faults: list[BaseException] = []

    def write(rows: Residue) -> None:
        try:
            while not stopped.is_set():
                rows.step()
                time.sleep(0.001)
        except BaseException as error:
            faults.append(error)

    def read() -> None:
        reader = sqlite3.connect(file, isolation_level=None, timeout=60)
        while not stopped.is_set():
            reader.execute("SELECT count(*), max(digest) FROM residue WHERE digest > 'Z8'").fetchone()
            time.sleep(0.001)
        reader.close()

    threads = [threading.Thread(target=write, args=(rows,)) for rows in users]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    done = 0
    try:
        give_up = time.monotonic() + 300
        while done < 15 and not faults:
            assert time.monotonic() < give_up
            time.sleep(0.05)
            gone = set.union(*(rows.gone.copy() for rows in users))
            status, said = scrubbed(file)
            assert status in (0, scrub_pages.NOT_NOW), said
            if status == 0:
                done += 1
                for _ in range(3):
                    assert not users[0].found() & gone
                    time.sleep(0.02)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert not faults
    assert users[0].sound()
    there = {row[0]: row[1:] for row in users[0].connection.execute("SELECT * FROM residue")}
    assert there == users[0].there | users[1].there


def test_a_reader_from_before_delays_it_and_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite3"
    rows = with_rests(file)
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    before = reader.execute("SELECT * FROM residue").fetchall()
    for _ in range(20):
        rows.step()
    assert scrubbed(file) == (scrub_pages.NOT_NOW, "somebody reads the database as it was earlier\n")
    assert reader.execute("SELECT * FROM residue").fetchall() == before
    reader.execute("ROLLBACK")
    assert scrubbed(file) == (0, "")
    assert not rows.found() & rows.gone
    assert rows.sound()


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite3"
    rows = with_rests(file)
    assert scrubbed(file, parent=1) == (scrub_pages.NOT_NOW, "this has to end\n")
    assert rows.sound()


def test_a_catalog_behind_a_link_is_scrubbed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    rows = with_rests(tmp_path / "elsewhere" / "real.sqlite3")
    link = tmp_path / "catalog.sqlite3"
    link.symlink_to(tmp_path / "elsewhere" / "real.sqlite3")
    assert scrubbed(link) == (0, "")
    assert not rows.found() & rows.gone


def test_pages_of_64_kib_are_scrubbed(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite3"
    make(file, "page_size = 65536")
    rows = with_rests(file)
    assert scrubbed(file) == (0, "")
    assert not rows.found() & rows.gone
    assert rows.sound()


def test_killed_midway_it_harms_nothing(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite3"
    rows = with_rests(file)
    for turn in range(10):
        with subprocess.Popen(command(file, os.getpid())) as process:
            time.sleep(0.01 * turn)
            process.kill()
        rows.step()
    assert rows.sound()
    assert {row[0]: row[1:] for row in rows.connection.execute("SELECT * FROM residue")} == rows.there
    assert scrubbed(file) == (0, "")


@pytest.mark.parametrize("kind", ["FULL", "INCREMENTAL"])
def test_a_database_with_maps_of_its_pages_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    """Such a page's first byte can be a tree's."""
    file = tmp_path / "catalog.sqlite3"
    make(file, f"auto_vacuum = {kind}")
    rows = with_rests(file)
    status, said = scrubbed(file)
    assert (status, said) == (1, "with auto_vacuum a tree's pages cannot be told from others\n")
    assert rows.sound()


@pytest.mark.parametrize("content", [b"", b"no database" * 100])
def test_what_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "catalog.sqlite3"
    file.write_bytes(content)
    assert scrubbed(file) == (1, "it is no SQLite database\n")
    assert file.read_bytes() == content


def test_a_database_without_a_write_ahead_log_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite3"
    make(file, "journal_mode = DELETE")
    assert scrubbed(file) == (1, "its journal_mode is delete, not wal\n")


def test_a_catalog_is_scrubbed_after_a_start_and_after_erasures(tmp_path: Path) -> None:
    """Whoever erased before: a process may die before it has scrubbed."""
    file = tmp_path / "catalog.sqlite3"
    Database(f"sqlite:///{file}").close()
    rows = with_rests(file)
    rows.connection.close()
    database = Database(f"sqlite:///{file}")
    assert database.unforgotten
    database.forget_owed()
    until(lambda: not database.unforgotten)
    assert not rows.found() & rows.gone

    again = Residue(file, seed=2)
    again.there = rows.there
    while not (again.step() and again.found() & again.gone):
        again.empty_log()
    database.forget()
    assert database.unforgotten

    def forgotten() -> bool:
        database.forget_owed()
        return not database.unforgotten

    until(forgotten)
    assert not again.found() & again.gone
    database.close()
    assert again.sound()


def test_a_scrub_that_fails_is_told_of_and_owed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    monkeypatch.setattr("service.storage.scrub.NEEDS_HELP_S", 0.0)  # else a minute
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    database.forget_owed()
    until(lambda: "/nowhere/python" in caplog.text)
    assert database.unforgotten
    monkeypatch.undo()
    until(lambda: not (database.forget_owed() or database.unforgotten))
    database.close()


def test_stopping_does_not_wait_for_a_scrub(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'catalog.sqlite3'}")
    other = sqlite3.connect(tmp_path / "catalog.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # for which a scrub waits ten seconds
    database.forget_owed()
    began = time.monotonic()
    database.close()
    assert time.monotonic() - began < 8
    other.execute("ROLLBACK")
    other.close()
