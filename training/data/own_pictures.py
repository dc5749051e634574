"""What the two readers of a user's own pictures share: names to numbers, and who asks where nobody says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from training.data.records import Picture

__all__ = ["NOTE", "OWN_TERMS", "ask_first", "number"]

NOTE: Final = "Pictures of your own: comparable only with figures on the same pictures."
OWN_TERMS: Final = "your own"


def number(names: Iterable[str]) -> dict[str, int]:
    """Names to numbers: as they are written where all are whole numbers, else their places in sorted order.

    ``"007"`` and ``"7"`` are then one person, which is meant.
    """
    unique = sorted(set(names))
    if all(name.isascii() and name.isdecimal() for name in unique):
        return {name: int(name) for name in unique}
    return {name: place for place, name in enumerate(unique)}


def ask_first(pictures: Sequence[Picture]) -> tuple[tuple[Picture, ...], tuple[Picture, ...]]:
    """Query and gallery where nobody says: each person's first picture in each camera asks."""
    query: list[Picture] = []
    gallery: list[Picture] = []
    asked: set[tuple[int, int]] = set()
    for picture in pictures:
        place = (picture.person, picture.camera)
        (gallery if place in asked else query).append(picture)
        asked.add(place)
    return tuple(query), tuple(gallery)
