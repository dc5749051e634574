"""Reading files that SQLite has open in this process: by another process.

Closing a file ends all of a process's POSIX locks on it, those of SQLite too
(https://www.sqlite.org/howtocorrupt.html, section 2.2). Whoever opens the database next, a scrub for example,
takes itself for the first one and shortens the shared memory that this process has mapped: SIGBUS.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["content_of", "contents_of", "leave_databases_to_sqlite"]

_DATABASE = (".sqlite3", ".sqlite3-wal", ".sqlite3-shm")


def content_of(file: Path) -> bytes:
    """As ``file.read_bytes()``."""
    return subprocess.run(["cat", "--", file], check=True, stdout=subprocess.PIPE).stdout


def contents_of(folder: Path) -> dict[Path, bytes]:
    """Of every file in it and in folders in it."""
    return {file: content_of(file) for file in sorted(folder.rglob("*")) if file.is_file()}


def leave_databases_to_sqlite() -> None:
    """From here on Python code that opens a database that this process has open fails."""
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    name = os.fsdecode(arguments[0])
    if name.endswith(_DATABASE) and os.path.realpath(name) in _open_files():
        raise AssertionError(f"{name} is open in SQLite: read it with tests/reading.py")


def _open_files() -> set[str]:
    """This process's."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # closed meanwhile
            continue
    return found
