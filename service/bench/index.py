"""`penumbra bench index`: what a large index finds, takes and costs, in one process.

An index is filled with a crowd (:mod:`service.bench.crowd`) and clustered as it would be in a service. What
it finds is held against exact search of the features as they came, block by block while it fills.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion
from service.bench.crowd import PER_PERSON, Crowd
from service.index.local import LocalIndex
from service.index.options import IndexOptions
from service.index.protocol import Entries, PartSearch
from service.matching.fused import FusedPicture, fused_search

__all__ = ["IndexFigures", "measure_index"]

_GALLERY: Final = 1
_AT_ONCE: Final = 2048
_FOUND: Final = 10
_LOOK_AT: Final = 40
_FLAT: Final = 20_000
_HIDDEN: Final = occlusion.code_of("bottom_half")


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """What was measured.

    Attributes:
        pictures, dimension, queries: what was searched, and how often.
        clustered: pictures that lay in clustered segments.
        recall_whole, recall_hidden: share of the ten best by exact search that were found, 0 to 1, under
            code 0 and under ``bottom_half``.
        search_ms, fuse_ms: processor time of one search by ``off`` and by ``fuse``, medians.
        flat_ms: of ``off`` in a flat index, times the pictures there are for each that was in it.
        resident, peak: memory of the process, bytes, at the end and at most.
        fill_s: from the first picture until everything was clustered, the crowd's drawing within it.
    """

    pictures: int
    dimension: int
    queries: int
    clustered: int
    recall_whole: float
    recall_hidden: float
    search_ms: float
    fuse_ms: float
    flat_ms: float
    resident: int
    peak: int
    fill_s: float


def measure_index(
    pictures: int,
    dimension: int,
    queries: int,
    options: IndexOptions,
    advance: Callable[[int], object] | None = None,
) -> IndexFigures:
    """Fill an index and search it.

    Args:
        advance: told how many pictures more are in the index.
    """
    crowd = Crowd(dimension, -(-pictures // PER_PERSON))
    asked = crowd.queries(queries)
    index, flat = LocalIndex(dimension, options), LocalIndex(dimension)
    exact = {code: _Best(asked[:, code]) for code in (occlusion.NONE, _HIDDEN)}
    began = time.perf_counter()
    for start in range(0, pictures, _AT_ONCE):
        count = min(_AT_ONCE, pictures - start)
        features = crowd.pictures(start, count)
        ids = np.arange(start, start + count, dtype=np.int64)
        entries = Entries(ids, ids, np.zeros(count, dtype=np.int64), features)
        index.add(_GALLERY, entries)
        index.catch_up(_GALLERY)
        if start < _FLAT:
            flat.add(_GALLERY, entries)
        for code, best in exact.items():
            best.see(ids, features[:, code].astype(np.float32))
        if advance is not None:
            advance(count)
    index.settle()
    filled = time.perf_counter() - began
    found = {
        code: [_search(index, code, one[code], _FOUND) for one in asked] for code in (occlusion.NONE, _HIDDEN)
    }
    held = sum(flat.parts(_GALLERY).values())
    flat_ms, search_ms, fuse_ms = [], [], []
    for one in asked:
        flat_ms.append(_milliseconds(lambda: _search(flat, 0, one[0], _LOOK_AT)))  # noqa: B023  # at once
        search_ms.append(_milliseconds(lambda: _search(index, 0, one[0], _LOOK_AT)))  # noqa: B023
        picture = FusedPicture(one, np.array([0.7, 0.1, 0.1, 0.1], np.float32))
        fuse_ms.append(_milliseconds(lambda: fused_search(index, _GALLERY, [picture], _LOOK_AT)))  # noqa: B023
    return IndexFigures(
        pictures=pictures,
        dimension=dimension,
        queries=queries,
        clustered=index.clustered(_GALLERY),
        recall_whole=exact[occlusion.NONE].recall(found[occlusion.NONE]),
        recall_hidden=exact[_HIDDEN].recall(found[_HIDDEN]),
        search_ms=statistics.median(search_ms),
        fuse_ms=statistics.median(fuse_ms),
        flat_ms=statistics.median(flat_ms) * pictures / held,
        resident=_resident(),
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        fill_s=filled,
    )


class _Best:
    """The ten best of all pictures seen, for each of some query vectors [Q, D]."""

    def __init__(self, asked: npt.NDArray[np.float32]) -> None:
        self._asked = asked
        self._scores = np.full((len(asked), _FOUND), -np.inf, dtype=np.float32)
        self._ids = np.full((len(asked), _FOUND), -1, dtype=np.int64)

    def see(self, ids: npt.NDArray[np.int64], features: npt.NDArray[np.float32]) -> None:
        scores = np.concatenate([self._scores, self._asked @ features.T], axis=1)
        all_ids = np.concatenate([self._ids, np.broadcast_to(ids, (len(scores), len(ids)))], axis=1)
        best = np.argpartition(-scores, _FOUND - 1, axis=1)[:, :_FOUND]
        self._scores = np.take_along_axis(scores, best, axis=1)
        self._ids = np.take_along_axis(all_ids, best, axis=1)

    def recall(self, found: list[npt.NDArray[np.int64]]) -> float:
        shares = [np.isin(own, ids).mean() for own, ids in zip(self._ids, found, strict=True)]
        return float(np.mean(shares))


def _search(index: LocalIndex, code: int, vector: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.int64]:
    (hits,) = index.search(_GALLERY, [PartSearch(occlusion.NONE, {code: vector})], k)
    return hits.ids


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return 1000 * (time.thread_time() - began)
