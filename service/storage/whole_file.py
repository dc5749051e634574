"""Writing a file of this machine so that nobody reads half of it."""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["PART", "write_whole"]

PART: Final = ".part"
"""Of a file that is being written. One stays where a disk turns read-only under it."""


def write_whole(path: Path, content: bytes, durably: bool, parents: bool = False) -> None:
    """Write beside and rename; the file's own folder is made where missing.

    Args:
        durably: sync it and its folders: after a power cut the file is whole or absent.
        parents: make the folders above its own too.
    """
    new_folders = list(itertools.takewhile(lambda folder: not folder.exists(), path.parents))
    path.parent.mkdir(parents=parents, exist_ok=True)
    beside = path.with_name(path.name + PART)
    try:
        with beside.open("wb") as file:
            file.write(content)
            if durably:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)  # on a full disk it would hold the last of the room
        raise
    if not durably:
        return
    for folder in (path.parent, *(folder.parent for folder in new_folders)):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
