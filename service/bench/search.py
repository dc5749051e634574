"""`penumbra bench search`: how long the index takes for a query, off against fuse, in one process.

The features are drawn at random: what a search costs does not depend on whom they show. Catalog, network and
model are left out; both ways look at as many pictures as a query for so many people does at first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion
from service.index.local import LocalIndex
from service.index.protocol import Entries
from service.matching import unification
from service.matching.fused import FusedPicture, fused_search

__all__ = ["SearchTimes", "measure_search"]

_GALLERY: Final = 1
_PER_PERSON: Final = 4
"""Pictures first looked at per person asked for, as ``service/gallery/query.py`` does."""

_AT_ONCE: Final = 4096


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """Milliseconds of processor time of one search, medians over the queries.

    A search runs in one thread, so on an idle machine that is the time it takes.

    Attributes:
        pictures, dimension, queries: what was searched, and how often.
        top_k: people asked for.
        off_ms, fuse_ms: of each way; the two take turns.
    """

    pictures: int
    dimension: int
    queries: int
    top_k: int
    off_ms: float
    fuse_ms: float

    @property
    def ratio(self) -> float:
        """How many times as long fuse takes."""
        return self.fuse_ms / self.off_ms


def measure_search(
    pictures: int,
    dimension: int,
    queries: int,
    advance: Callable[[int], object] | None = None,
    top_ks: Sequence[int] = (10,),
) -> list[SearchTimes]:
    """Fill an index with random pictures, all whole, and search it both ways in turn.

    Args:
        top_ks: numbers of people asked for, each measured.
        advance: told how many pictures more are in the index.
    """
    generator = np.random.default_rng(0)
    index = LocalIndex(dimension)
    for start in range(0, pictures, _AT_ONCE):
        count = min(_AT_ONCE, pictures - start)
        ids = np.arange(start, start + count, dtype=np.int64)
        whole = np.zeros(count, dtype=np.int64)
        index.add(
            _GALLERY, Entries(ids, ids, whole, _features(generator, count, dimension).astype(np.float16))
        )
        if advance is not None:
            advance(count)
    return [_measured(index, generator, pictures, dimension, queries, top_k) for top_k in top_ks]


def _measured(
    index: LocalIndex, generator: np.random.Generator, pictures: int, dimension: int, queries: int, top_k: int
) -> SearchTimes:
    look_at = _PER_PERSON * top_k
    off, fuse = [], []
    for asked in _features(generator, queries + 1, dimension):
        plain = unification.QueryPicture(occlusion.NONE, {occlusion.NONE: asked[occlusion.NONE]})
        picture = FusedPicture(asked, np.array([0.7, 0.1, 0.1, 0.1], np.float32))
        off.append(_milliseconds(lambda: _search_off(index, plain, look_at)))  # noqa: B023  # called at once
        fuse.append(_milliseconds(lambda: fused_search(index, _GALLERY, [picture], look_at)))  # noqa: B023
    # the first of each warms up
    off_ms, fuse_ms = statistics.median(off[1:]), statistics.median(fuse[1:])
    return SearchTimes(pictures, dimension, queries, top_k, off_ms, fuse_ms)


def _search_off(index: LocalIndex, query: unification.QueryPicture, look_at: int) -> None:
    searches = unification.plan(unification.OFF, [query], index.parts(_GALLERY))
    unification.merge(index.search(_GALLERY, searches, look_at), look_at)


def _features(generator: np.random.Generator, count: int, dimension: int) -> npt.NDArray[np.float32]:
    drawn = generator.standard_normal((count, occlusion.COUNT, dimension), dtype=np.float32)
    unit: npt.NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=2, keepdims=True)
    return unit


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return 1000 * (time.thread_time() - began)
