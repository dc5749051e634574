"""Counting rounds, so that whoever waits for a long proof sees how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["Count"]

Count = Callable[[int], Iterable[int]]
"""``range``, or something that counts as it does and shows it."""
