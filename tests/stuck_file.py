"""A kept file that hangs: work that comes to it is not done before it is broken off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["stuck"]


@contextmanager
def stuck(file: Path) -> Iterator[None]:
    """The file is a pipe that nobody writes to; afterwards it is what it was before."""
    content = file.read_bytes()
    file.unlink()
    os.mkfifo(file)
    try:
        yield
    finally:
        file.unlink()
        file.write_bytes(content)
