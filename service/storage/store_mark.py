"""The mark of a picture store: by it the store is told from an empty folder that is in its place.

A folder that is not mounted looks as one in which nothing was ever kept, and so does another store that the
settings name by mistake. Taken for the store, it would take new pictures that the mount then hides, and
what was erased would count as gone while its files come back with the mount. So a file is laid into the
store before the first picture is, and the catalog notes it: from there on a store without it is away.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Protocol

from fsspec.implementations.local import LocalFileSystem

from service.storage.whole_file import write_whole

__all__ = ["NAME", "Noted", "StoreMark", "Unnoted"]

NAME: Final = "kept-here.txt"

_CONTENT: Final = b"Pictures of a Penumbra catalog are kept here. Without this file they count as away.\n"
_KEY: Final = "pictures"
_MARKED: Final = "marked"
_EXPECTED: Final = "expected"
"""Of a catalog from before there were marks, whose store has not been seen since."""


class Noted(Protocol):
    """What the catalog says of itself, a text by key; it outlives the process."""

    def get(self, key: str) -> str | None:
        """What is noted; None where nothing is."""

    def set(self, key: str, value: str) -> None:
        """Note it durably."""


class Unnoted:
    """Notes of this process alone."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """See :meth:`Noted.get`."""
        return self._values.get(key)

    def set(self, key: str, value: str) -> None:
        """See :meth:`Noted.set`."""
        self._values[key] = value


class StoreMark:
    """The mark of one catalog's pictures.

    Args:
        files: fsspec's file system.
        root: the catalog's own folder there.
        noted: what the catalog remembers of it.

    Attributes:
        path: of the mark's file.
    """

    def __init__(self, files: Any, root: str, noted: Noted) -> None:
        self.path: Final = f"{root}/{NAME}"
        self._files = files
        self._noted = noted
        self._state = noted.get(_KEY)
        self._seen = False

    @property
    def noted(self) -> bool:
        """Whether the store was marked."""
        return self._state == _MARKED

    @property
    def expected(self) -> bool:
        """Whether pictures were ever kept: then a store without a mark is another one."""
        return self._state is not None

    def look(self) -> None:
        """Raise whatever the store's driver does unless the mark is there, or none is expected.

        Raises:
            FileNotFoundError: the store answers, and has no mark.
        """
        if not self.expected:
            return
        if isinstance(self._files, LocalFileSystem):
            os.stat(self.path)
        elif not self._seen:  # nobody mounts another bucket under a running service
            self._files.cat_file(self.path)
            self._seen = True

    def expect(self) -> None:
        """Note that pictures are kept in a store that has not been marked, and is not there now."""
        if not self.expected:
            self._noted.set(_KEY, _EXPECTED)
            self._state = _EXPECTED

    def lay(self) -> None:
        """Lay the mark into the store; when this returns, it is there durably.

        Raises:
            whatever the store's driver does.
        """
        if isinstance(self._files, LocalFileSystem):
            write_whole(Path(self.path), _CONTENT, durably=True, parents=True)
        else:
            self._files.pipe_file(self.path, _CONTENT)
        self._seen = True

    def note(self) -> None:
        """Let the catalog remember it. Afterwards: one that was noted and never laid would never be there."""
        self._noted.set(_KEY, _MARKED)
        self._state = _MARKED
