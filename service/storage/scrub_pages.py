"""Zeroes what SQLite left of deleted rows in its file: `python scrub_pages.py FILE PARENT`.

``PRAGMA secure_delete`` overwrites a row where it lies, and pages that are freed. But a tree that is balanced
moves rows to other pages, and what their old page still has of them, between its list of cells and its first
cell, is nobody's: a later deletion does not know of it (``rebuildPage`` in SQLite's ``btree.c``). SQLite's
own remedies write the whole database anew (``VACUUM``, ``ext/misc/scrub.c``). This zeroes that gap in place
(https://www.sqlite.org/fileformat2.html, section 1.6). Writers do not wait while the file is read:

1. Under the write lock the write-ahead log is copied into the file, and a reader begins. As long as it stays,
   the file is not written to, and the log, which is begun anew before the next change at most, tells which
   pages were changed since.
2. At leisure the gaps of all pages in the file are zeroed. Nobody reads a gap.
3. Under the write lock again the log is copied into the file, and the gaps of the pages that it named are
   zeroed: a balancing since may have made one of them of a page that still had its old gap. A commit that
   changes nothing makes every other connection forget the pages that it remembers. What the log still has
   of pages, nobody reads, for all of it was copied.
4. The log is emptied.

Then nothing is in the file of any row that was deleted before 1, but for the schema's own in page 1, which 3
writes as it was. Dying anywhere between harms nothing.

It runs in a process of its own: closing a file that SQLite has open too would end SQLite's locks on it, and
looking at every page would take the service's interpreter. Of the standard library alone, to start at once.
That process ends without closing anything: who closes a database as the last one, or takes itself for the
last since a reader of the file in the service's own process has ended its locks, removes the log.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["NOT_NOW", "NotNow", "scrub"]

NOT_NOW: Final = 75
"""Exit status: somebody else holds the database; ``EX_TEMPFAIL`` of ``sysexits.h``."""

_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100  # bytes of the file's own, before the first page's
_INTERIOR: Final = {2, 5}
_LEAVES: Final = {10, 13}
_PAGES: Final = 1 << 25
"""From so many pages on, 128 GiB, an overflow page can begin with a number that looks like a tree's page."""
_LOG_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_AT_ONCE: Final = 256  # pages

_WRITERS_S: Final = 10.0  # how long other writers are waited for
_OTHERS_WAIT_S: Final = 0.5  # how long readers from before are, while no writer can go on
_READERS_S: Final = 5.0  # and while all others can
_COPYING_S: Final = 0.1  # but for this at a time

_CONNECTIONS: Final[list[sqlite3.Connection]] = []
"""So that none is closed because nobody knows it any more."""


class NotNow(RuntimeError):
    """Somebody reads or writes the database for longer than is waited."""


def scrub(file: Path, go_on: Callable[[], bool]) -> None:
    """Leave nothing of deleted rows in a database in WAL mode, whoever else uses it meanwhile.

    Args:
        file: the database.
        go_on: asked now and then; where it says no, this ends.

    Raises:
        NotNow: it is not done, and can be tried again.
        ValueError: it is no such database, or too large.
        sqlite3.Error: SQLite refuses.
        OSError: the file cannot be written to.
    """
    file = file.resolve()  # SQLite has the log beside the file, not beside a link to it
    pages = _Pages(file, go_on)
    writer, reader, copier = (
        _connect(file, _WRITERS_S),
        _connect(file, _WRITERS_S),
        _connect(file, _COPYING_S),
    )
    (mode,) = writer.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        raise ValueError(f"its journal_mode is {mode}, not wal")
    copier.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()  # most of it while writers can go on
    with _writing(writer):
        _checkpoint(copier, "PASSIVE", _OTHERS_WAIT_S, go_on)
        pages.check()
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    pages.zero_gaps(range(1, pages.number + 1))
    pages.sync()
    with _writing(writer):
        changed = pages.named_in_log()
        reader.execute("ROLLBACK")
        _checkpoint(copier, "PASSIVE", _OTHERS_WAIT_S, go_on)
        pages.check()
        pages.zero_gaps(changed)
        pages.sync()
        (version,) = writer.execute("PRAGMA user_version").fetchone()
        writer.execute(f"PRAGMA user_version = {version}")
    _checkpoint(copier, "TRUNCATE", _READERS_S, go_on)


class _Pages:
    """The pages of the file, numbered from 1, read and written past SQLite."""

    def __init__(self, file: Path, go_on: Callable[[], bool]) -> None:
        self._log = file.with_name(file.name + "-wal")
        self._go_on = go_on
        self._file = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        header = os.pread(self._file, _HEADER, 0)
        if not header.startswith(_MAGIC):
            raise ValueError("it is no SQLite database")
        self._size = {1: 65536}.get(size := int.from_bytes(header[16:18]), size)
        self._zeros = bytes(self._size)

    @property
    def number(self) -> int:
        """How many there are."""
        return os.fstat(self._file).st_size // self._size

    def check(self) -> None:
        """To be called whenever the log was copied into the file, which may have changed all of this.

        Raises:
            ValueError: a tree's pages cannot be told from others, or somebody keeps sums of all bytes.
        """
        header = os.pread(self._file, _HEADER, 0)
        if self.number >= _PAGES:
            raise ValueError(f"{self.number} pages are too many to tell which of them are a tree's")
        if any(header[52:56]):
            raise ValueError("with auto_vacuum a tree's pages cannot be told from others")
        if header[20]:
            raise ValueError("its pages have reserved bytes, which may hold checksums")

    def named_in_log(self) -> list[int]:
        """Numbers of pages in the write-ahead log: of all that it holds, earlier ones and torn ones too."""
        with self._log.open("rb") as log:
            end = os.fstat(log.fileno()).st_size
            frames = range(_LOG_HEADER, end, _FRAME_HEADER + self._size)
            named = {int.from_bytes(os.pread(log.fileno(), 4, at)) for at in frames}
        return sorted(number for number in named if number > 0)

    def zero_gaps(self, numbers: Iterable[int]) -> None:
        """Zero, of each page of a tree, what is between the list of cells and the first cell."""
        for first, held in self._read(numbers):
            for at in range(0, len(held), self._size):
                number = first + at // self._size
                begins, ends = _gap(held, at + (_HEADER if number == 1 else 0), at)
                zeros = self._zeros[: ends - begins]
                if held[begins:ends] != zeros:
                    os.pwrite(self._file, zeros, (first - 1) * self._size + begins)

    def sync(self) -> None:
        os.fsync(self._file)

    def _read(self, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Pages that follow each other, each time with the first one's number."""
        for first, many in _runs(numbers):
            if not self._go_on():
                raise NotNow("this has to end")
            yield first, os.pread(self._file, many * self._size, (first - 1) * self._size)


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as (first, how many follow each other, itself included)."""
    first = many = 0
    for number in numbers:
        if many and (number != first + many or many == _AT_ONCE):
            yield first, many
            many = 0
        if not many:
            first = number
        many += 1
    if many:
        yield first, many


def _gap(held: bytes, header: int, page: int) -> tuple[int, int]:
    """Where the gap of a page begins and ends in ``held``; nothing, for a page that is not a tree's."""
    kind = held[header] if header < len(held) else 0
    if kind not in _INTERIOR and kind not in _LEAVES:
        return page, page
    cells = int.from_bytes(held[header + 3 : header + 5])
    begins = header + (12 if kind in _INTERIOR else 8) + 2 * cells
    ends = page + (int.from_bytes(held[header + 5 : header + 7]) or 65536)
    return (begins, ends) if begins < ends <= len(held) else (page, page)


def _connect(file: Path, patience_s: float) -> sqlite3.Connection:
    """One that stays until this process ends."""
    address = file.absolute().as_uri() + "?mode=rw"  # a file that is gone is not made anew
    connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=patience_s)
    _CONNECTIONS.append(connection)
    return connection


@contextlib.contextmanager
def _writing(writer: sqlite3.Connection) -> Iterator[None]:
    """The write lock: nobody commits meanwhile."""
    writer.execute("BEGIN IMMEDIATE")
    try:
        yield
        writer.execute("COMMIT")
    except BaseException:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        raise


def _checkpoint(copier: sqlite3.Connection, how: str, patience_s: float, go_on: Callable[[], bool]) -> None:
    """Copy all of the write-ahead log into the file."""
    give_up = time.monotonic() + patience_s
    while True:
        (busy, held, copied) = copier.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
        if not busy and held == copied:
            return
        if time.monotonic() > give_up or not go_on():
            raise NotNow("somebody reads the database as it was earlier")
        time.sleep(0.002)


def main() -> int:
    """Returns the exit status: 0, :data:`NOT_NOW`, or 1 with the reason on standard error."""
    file, parent = Path(sys.argv[1]), int(sys.argv[2])
    try:
        scrub(file, lambda: os.getppid() == parent)
    except (NotNow, ValueError, sqlite3.Error, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        return NOT_NOW if busy or isinstance(error, NotNow) else 1
    return 0


if __name__ == "__main__":
    status = 1
    try:
        status = main()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
