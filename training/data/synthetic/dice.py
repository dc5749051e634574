"""Where every random choice of a drawn picture comes from: one independent stream per subject.

A stream is keyed by what it belongs to (``(seed, subject, person, ...)``), never by how much was drawn
before, so that picture k is the same whether one picture is drawn or a million, in any order, in any number
of processes.
Only PCG64's uniform doubles and bounded integers are used: numpy keeps both stable across machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, TypeVar

import numpy as np

__all__ = ["MAX_KEY", "Dice", "Subject"]

Item = TypeVar("Item")

MAX_KEY: Final = 2**32 - 1
"""Largest part of a key. SeedSequence would split a larger one in two words, and two keys could then meet."""


class Subject(IntEnum):
    """What a stream decides. Keys of one subject have the same length, so that no two streams coincide."""

    IDENTITY = 1
    CAMERA = 2
    BACKDROP = 3
    PICTURE = 4
    OCCLUSION = 5
    QUERIES = 6
    VISIT = 7
    PASSAGE = 8
    TWINS = 9


class Dice:
    """Uniform draws of one stream.

    Args:
        seed: the data set's seed, 0 to 2³²-1.
        subject: what the stream decides.
        key: whom or what it is about, each 0 to 2³²-1.

    Raises:
        ValueError: a part of the key is out of range.
    """

    __slots__ = ("generator",)

    def __init__(self, seed: int, subject: Subject, *key: int) -> None:
        parts = (seed, int(subject), *key)
        if any(not 0 <= part <= MAX_KEY for part in parts):
            raise ValueError(f"seed, person, camera and index must be 0 to {MAX_KEY}, not {parts}")
        self.generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(parts)))

    def uniform(self, low: float, high: float) -> float:
        """A number from [low, high)."""
        return low + (high - low) * self.generator.random()

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.generator.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return bool(self.generator.random() < probability)

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, each as likely."""
        return items[int(self.generator.random() * len(items))]

    def weighted(self, weights: dict[Item, float]) -> Item:
        """One of the keys, as likely as its weight is heavy."""
        left = self.generator.random() * sum(weights.values())
        for item, weight in weights.items():
            left -= weight
            if left < 0:
                return item
        return next(reversed(weights))
