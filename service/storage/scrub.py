"""Taking out of SQLite's file what it keeps of erased rows: runs ``scrub_pages.py``, which says how."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

from service.storage import scrub_pages
from service.storage.owed_work import NEEDS_HELP_S, OwedWork

__all__ = ["Scrub", "command"]

_log = logging.getLogger(__name__)


def command(file: Path, parent: int) -> list[str]:
    """What scrubs a database, as long as the process ``parent`` is the one that runs it."""
    return [sys.executable, "-I", "-S", scrub_pages.__file__, str(file), str(parent)]


class Scrub(OwedWork):
    """Scrubs a catalog's file while that is owed: after a start, for erasures before it, and after erasures.

    Args:
        file: the catalog's.
    """

    def __init__(self, file: Path) -> None:
        super().__init__("scrub")
        self._file = file
        self._process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """Break off what is under way; it is owed to the next start."""
        self._break_off()

    def _interrupt(self) -> None:
        process = self._process
        if process is not None:
            process.kill()

    def _do(self) -> bool:
        began = time.monotonic()
        try:
            (status, said) = self._run()
        except OSError as error:
            (status, said) = (1, str(error))
        self._spent_s = time.monotonic() - began
        if status == scrub_pages.NOT_NOW:
            _log.info("rests of erased rows are still in SQLite's file, trying again: %s", said)
        elif status != 0 and not self._closed:
            self._spent_s = max(self._spent_s, NEEDS_HELP_S)
            _log.warning("rests of erased rows are still in SQLite's file: %s", said or f"status {status}")
        return status == 0

    def _run(self) -> tuple[int, str]:
        """Exit status, and what it said."""
        # of its own session, for it is not meant when somebody interrupts the service at a terminal
        with subprocess.Popen(
            command(self._file, os.getpid()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            self._process = process
            try:
                (_, said) = process.communicate()
            finally:
                self._process = None
        return process.returncode, said.strip()
