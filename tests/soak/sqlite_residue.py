"""How often SQLite keeps something of a deleted row in its file, `python -m tests.soak.sqlite_residue`.

``PRAGMA secure_delete`` overwrites what is deleted. But where SQLite balances a tree, cells move to other
pages, and what the unused part of a page had of them stays; a row that is deleted later is overwritten where
it lies, and not there. Only a file that is written anew (VACUUM) is without it.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
from pathlib import Path

_STEPS = 2500
_MANY = 600  # rows, about


def main() -> None:
    """Insert and delete rows as the catalog has them, and search the file after each deletion."""
    for seed in range(1, 4):
        with tempfile.TemporaryDirectory(prefix="penumbra-residue-") as folder:
            deletions, left, left_by_vacuum = _count(Path(folder) / "catalog.sqlite3", random.Random(seed))
        print(
            f"{deletions} deleting transactions, something left after {left}, "
            f"after those and a VACUUM {left_by_vacuum}"
        )


def _count(file: Path, chance: random.Random) -> tuple[int, int, int]:
    catalog = sqlite3.connect(file, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA secure_delete = ON",
        "CREATE TABLE images (number INTEGER PRIMARY KEY, id TEXT UNIQUE, client_id TEXT, digest TEXT)",
        "CREATE INDEX by_client_id ON images (client_id)",
        "CREATE INDEX by_digest ON images (digest)",
    ):
        catalog.execute(statement)
    there: dict[int, tuple[str, str, str]] = {}
    number = deletions = left = left_by_vacuum = 0
    for _ in range(_STEPS):
        catalog.execute("BEGIN IMMEDIATE")
        gone: list[tuple[str, str, str]] = []
        if len(there) < _MANY or chance.random() < 0.3:
            for _ in range(chance.randint(1, 16)):
                number += 1
                there[number] = (f"{chance.getrandbits(96):026x}", *_texts(chance))
                catalog.execute("INSERT INTO images VALUES (?, ?, ?, ?)", (number, *there[number]))
        else:
            for one in chance.sample(sorted(there), chance.randint(1, 20)):
                catalog.execute("DELETE FROM images WHERE number = ?", (one,))
                gone.append(there.pop(one))
        catalog.execute("COMMIT")
        deletions += bool(gone)
        if _found(catalog, file, gone):
            left += 1
            catalog.execute("VACUUM")
            left_by_vacuum += _found(catalog, file, gone)
    catalog.close()
    return deletions, left, left_by_vacuum


def _texts(chance: random.Random) -> tuple[str, str]:
    return f"of {chance.getrandbits(64):016x}", f"{chance.getrandbits(256):064x}"


def _found(catalog: sqlite3.Connection, file: Path, gone: list[tuple[str, str, str]]) -> bool:
    catalog.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    held = file.read_bytes()
    return any(text.encode() in held for row in gone for text in row)


if __name__ == "__main__":
    main()
