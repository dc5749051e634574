"""Work that is owed after an erasure and takes too long to be waited for."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from typing import Final

__all__ = ["LEAVE_S", "NEEDS_HELP_S", "OwedWork"]

_log = logging.getLogger(__name__)

_SHARE: Final = 0.1
"""Of the time, that is spent on it at most, however much is erased."""

NEEDS_HELP_S: Final = 6.0
"""Counted for an attempt that needs somebody's help, so that it is made, and told of, once a minute."""

LEAVE_S: Final = 5.0
"""How long an end waits for what is under way; a server that is frozen, or a disk, may hold it."""


class OwedWork(ABC):
    """Is done in a thread of its own while it is owed; several erasures' together.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._noted = True  # what an earlier process left
        self._not_before = 0.0
        self._spent_s = 0.0
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def owed(self) -> bool:
        """Whether erased rows may still be in the files."""
        with self._lock:
            return self._noted or self._thread is not None

    def note(self) -> None:
        """Something was erased."""
        with self._lock:
            self._noted = True

    def go_on(self) -> None:
        """Begin with what is owed, unless that is under way or would take too large a share of the time."""
        with self._lock:
            waits = self._thread is not None or time.monotonic() < self._not_before
            if self._noted and not waits and not self._closed:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()

    def _break_off(self) -> bool:
        """Begin with nothing any more, and end what is under way.

        Returns:
            Whether it has ended.
        """
        with self._lock:
            self._closed = True
            thread = self._thread
        give_up = time.monotonic() + LEAVE_S
        while thread is not None and thread.is_alive():
            if time.monotonic() > give_up:
                return False
            self._interrupt()
            thread.join(0.1)
        return True

    def _work(self) -> None:
        with self._lock:
            self._noted = False  # what is erased from here on is owed again
        self._spent_s = 0.0
        done = False
        try:
            done = self._do()
        except Exception:
            _log.exception("erased rows could not be taken out of the catalog's files")
        finally:
            with self._lock:
                self._noted = self._noted or not done
                self._not_before = time.monotonic() + self._spent_s * (1 / _SHARE - 1)
                self._thread = None

    @abstractmethod
    def _do(self) -> bool:
        """Do what is owed, adding to ``_spent_s`` the seconds that count. Returns whether nothing is left."""

    @abstractmethod
    def _interrupt(self) -> None:
        """Make :meth:`_do` end soon; called again as long as it has not."""
