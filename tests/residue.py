"""A SQLite table in which rows come and go, and what the files keep of those that went."""

from __future__ import annotations

import random
import re
import sqlite3
from pathlib import Path

from tests.reading import content_of

__all__ = ["Residue"]

_MANY = 600  # rows, about
_TOKEN = re.compile(rb"Z[0-9a-f]{25}")
_LONGEST = (1, 20, 60)  # tokens of a row's features: short ones, and such as few of fit on a page


class Residue:
    """Rows that one thread inserts and deletes, by a connection of its own.

    Args:
        file: the database, which others may use too; the table is made where missing.
        seed: of what is done.

    Attributes:
        there: rows by number, as the database has them.
        gone: tokens of those that were deleted.
    """

    def __init__(self, file: Path, seed: int) -> None:
        self._file = file
        self._chance = random.Random(seed)
        self.connection = sqlite3.connect(file, isolation_level=None, timeout=60, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = OFF",
            "PRAGMA secure_delete = ON",
            "CREATE TABLE IF NOT EXISTS residue "
            "(number INTEGER PRIMARY KEY, id TEXT UNIQUE, client_id TEXT, digest TEXT, features TEXT)",
            "CREATE INDEX IF NOT EXISTS residue_by_client_id ON residue (client_id)",
            "CREATE INDEX IF NOT EXISTS residue_by_digest ON residue (digest)",
        ):
            self.connection.execute(statement)
        self.there: dict[int, tuple[str, str, str, str]] = {}
        self.gone: set[bytes] = set()

    def step(self) -> bool:
        """One transaction that inserts or deletes some. Returns whether it deleted."""
        chance = self._chance
        inserts = len(self.there) < _MANY or chance.random() < 0.35
        self.connection.execute("BEGIN IMMEDIATE")
        if inserts:
            for _ in range(chance.randint(1, 16)):
                row = (self._token(), self._token(), self._token() * 2, self._features())
                done = self.connection.execute(
                    "INSERT INTO residue (id, client_id, digest, features) VALUES (?, ?, ?, ?)", row
                )
                assert done.lastrowid is not None
                self.there[done.lastrowid] = row
            self.connection.execute("COMMIT")
            return False
        numbers = chance.sample(sorted(self.there), chance.randint(1, 20))
        self.connection.executemany("DELETE FROM residue WHERE number = ?", [(one,) for one in numbers])
        self.connection.execute("COMMIT")
        for one in numbers:
            self.gone.update(_TOKEN.findall("".join(self.there.pop(one)).encode()))
        return True

    def found(self) -> set[bytes]:
        """Tokens that are in the database's files, somebody's or nobody's."""
        log = self._file.with_name(self._file.name + "-wal")
        return {token for file in (self._file, log) for token in _TOKEN.findall(content_of(file))}

    def empty_log(self) -> None:
        """Leave nothing in the write-ahead log; nobody else must be reading."""
        assert self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0

    def sound(self) -> bool:
        """What SQLite says of the file."""
        return bool(self.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))

    def _token(self) -> str:
        return f"Z{self._chance.getrandbits(100):025x}"

    def _features(self) -> str:
        return "".join(self._token() for _ in range(self._chance.choice(_LONGEST)))
