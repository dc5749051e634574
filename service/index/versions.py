"""A value that is replaced while it is read: readers keep the one they began with, and wait for nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["Versions"]

Value = TypeVar("Value")


class Versions(Generic[Value]):
    """The present version, and how many still read which.

    Values must not change once published. What only an older version speaks of may be overwritten after
    :meth:`settle`.
    """

    def __init__(self, value: Value) -> None:
        self._changed = threading.Condition()  # held for counting only
        self._value = value
        self._number = 0
        self._readers: dict[int, int] = {}

    @property
    def present(self) -> Value:
        """The newest version; for those who keep others from publishing, or need no old memory."""
        return self._value

    @contextmanager
    def read(self) -> Iterator[Value]:
        """The present version, which stays whole until the reader leaves."""
        with self._changed:
            number, value = self._number, self._value
            self._readers[number] = self._readers.get(number, 0) + 1
        try:
            yield value
        finally:
            with self._changed:
                self._readers[number] -= 1
                if not self._readers[number]:
                    del self._readers[number]
                    self._changed.notify_all()

    def publish(self, value: Value) -> None:
        """Every later reader gets this one."""
        with self._changed:
            self._number += 1
            self._value = value

    def settle(self) -> None:
        """Wait until nobody reads a version older than the present one. Readers do not wait meanwhile."""
        with self._changed:
            number = self._number
            self._changed.wait_for(lambda: all(read >= number for read in self._readers))
