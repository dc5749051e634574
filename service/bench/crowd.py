"""Features at random that lie as people's do, as many as are wanted.

Real features fill few of their dimensions, and pictures of a person from one camera are nearer to each
other than to those from the next. What is drawn here was set by OAMN's features of market1501-val (1,768
pictures, D 512): variances fall off as exp(-d / 18), in a random rotation; two pictures of a person have a
cosine of 0.68 (there 0.65), and two people's spread by 0.16 (there 0.16). Under a code that hides a half, a
feature goes astray by 0.7 of its own length, under a quarter by 0.35, each by itself; real ones move together
more, so that clustering them by one mean is harder here.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion

__all__ = ["PER_PERSON", "Crowd"]

PER_PERSON: Final = 10
"""Pictures of each person, from :data:`_CAMERAS` cameras."""

_CAMERAS: Final = 4
_POOL: Final = 4096  # draws of each kind, used again: what a search costs does not depend on it
_DECAY: Final = 36.0
_VIEW: Final = 0.63
_PICTURE: Final = 0.42
_ASTRAY: Final = np.array([{0.0: 0.0, 0.25: 0.42, 0.5: 0.84}[kind.area] for kind in occlusion.TYPES])

Floats = npt.NDArray[np.float32]


class Crowd:
    """People, each with :data:`PER_PERSON` pictures.

    Args:
        dimension: D.
        people: how many.
        seed: of everything drawn.
    """

    def __init__(self, dimension: int, people: int, seed: int = 0) -> None:
        self._generator = np.random.default_rng(seed)
        self._spread = np.exp(-np.arange(dimension) / _DECAY).astype(np.float32)
        rotation = np.linalg.qr(self._generator.standard_normal((dimension, dimension)))[0]
        self._turn = (self._spread[:, None] * rotation).astype(np.float32)
        self._people = self._drawn(people)
        self._views = _VIEW * self._drawn(_POOL)
        self._pictures = _PICTURE * self._drawn(_POOL)
        self._codes = np.stack([astray * self._drawn(_POOL) for astray in _ASTRAY.astype(np.float32)])

    def pictures(self, first: int, count: int) -> npt.NDArray[np.float16]:
        """Features [count, 9, D] of the pictures with these numbers; person n has ten from 10 n on."""
        numbers = np.arange(first, first + count)
        people = numbers // PER_PERSON
        views = (_CAMERAS * people + numbers % _CAMERAS) * 2_654_435_761 % _POOL
        return self._features(people, self._views[views]).astype(np.float16)

    def queries(self, count: int) -> Floats:
        """Features [count, 9, D] of pictures of people in the crowd, each from a camera of its own."""
        people = self._generator.integers(0, len(self._people), count)
        return self._features(people, _VIEW * self._drawn(count))

    def _features(self, people: npt.NDArray[np.int64], views: Floats) -> Floats:
        count = len(people)
        shown = self._people[people] + views + self._pictures[self._generator.integers(0, _POOL, count)]
        features = np.empty((count, occlusion.COUNT, shown.shape[1]), dtype=np.float32)
        for code in range(occlusion.COUNT):
            features[:, code] = shown + self._codes[code, self._generator.integers(0, _POOL, count)]
        features /= np.linalg.norm(features, axis=2, keepdims=True)
        return features

    def _drawn(self, count: int) -> Floats:
        drawn = np.empty((count, len(self._spread)), dtype=np.float32)
        for start in range(0, count, _POOL):
            some = drawn[start : start + _POOL]
            some[:] = self._generator.standard_normal(some.shape, dtype=np.float32) @ self._turn
        return drawn
