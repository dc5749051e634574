"""Memory that threads have given back is used again by others, instead of being kept for each."""

from __future__ import annotations

import ctypes
import os
from typing import Final

__all__ = ["few_arenas"]

_M_ARENA_MAX: Final = -8  # malloc.h
_ARENAS: Final = 2


def few_arenas() -> None:
    """Have glibc allocate from two arenas.

    Unless told it takes up to eight for each core, and gives none of them back: of memory that is used up in
    one, none is free in another, so a service of many threads grows for hours without holding more. What is
    said by ``MALLOC_ARENA_MAX`` or ``GLIBC_TUNABLES`` stays. Has to be called before there are threads; does
    nothing where the C library is another.
    """
    if "MALLOC_ARENA_MAX" in os.environ or "malloc.arena_max" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
