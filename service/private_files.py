"""What is stored is about people, and is for its owner's eyes alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["private_files"]

_OF_OTHERS: Final = 0o077


@contextmanager
def private_files() -> Iterator[None]:
    """Files and folders that this process makes meanwhile are 0600 and 0700; those that are there stay."""
    before = os.umask(_OF_OTHERS)
    try:
        yield
    finally:
        os.umask(before)
