"""Waiting for what another thread, process or server does."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["until"]


def until(happens: Callable[[], bool], within_s: float = 60.0) -> None:
    """Ask again and again until it says yes; that it never does fails."""
    give_up = time.monotonic() + within_s
    while not happens():
        assert time.monotonic() < give_up
        time.sleep(0.02)
