"""Searches over the segments of a gallery's parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion
from service.index.gpu import GpuFlats
from service.index.protocol import Hits, PartSearch, Products
from service.index.segment import Segment

__all__ = ["NOTHING", "joined", "products_of", "search_in"]

_SCRATCH: Final = 4 * 1024 * 1024
"""Bytes that a thread may keep for its next search."""

_threads = threading.local()

Rows = npt.NDArray[np.int64]


def search_in(segments: Sequence[Segment], search: PartSearch, k: int, gpu: GpuFlats | None) -> Hits:
    ids, people, scores = [], [], []
    for segment in segments:
        among = None if search.among is None else segment.rows_of(search.among)
        found = gpu.nearest(segment, search.terms, k) if gpu is not None and among is None else None
        values, rows = segment.nearest(search.terms, k, among) if found is None else found
        ids.append(segment.ids[rows])
        people.append(segment.people[rows])
        scores.append(values)
    if not ids:
        return NOTHING
    all_ids, all_scores = np.concatenate(ids), np.concatenate(scores)
    best = np.lexsort((all_ids, -all_scores))[:k]
    return Hits(
        ids=all_ids[best],
        people=np.concatenate(people)[best],
        parts=np.full(len(best), search.part, dtype=np.int64),
        scores=all_scores[best],
    )


def products_of(found: Sequence[tuple[int, Segment, Rows]], vectors: npt.NDArray[np.float32]) -> Products:
    """Of rows of segments that store in the same way: together, since every search costs something.

    Args:
        found: part, segment and rows of it, ascending and alive.
        vectors: float32 [9, m, D].
    """
    ids = np.concatenate([segment.ids[rows] for _, segment, rows in found])
    count, codec = len(ids), found[0][1].codec
    codes, m, _ = vectors.shape
    products = codec.products(_gathered(found, count, codec.width, vectors), codes * m, codes * m * count)
    return Products(
        ids,
        np.concatenate([segment.people[rows] for _, segment, rows in found]),
        np.concatenate([np.full(len(rows), part, dtype=np.int64) for part, _, rows in found]),
        products.reshape(codes, m, count),
    )


def _gathered(
    found: Sequence[tuple[int, Segment, Rows]], count: int, width: int, vectors: npt.NDArray[np.float32]
) -> Iterator[tuple[int, npt.NDArray[np.float32], npt.NDArray[np.uint8]]]:
    """Each code with its vectors and the rows' codes, side by side until the next code is asked for."""
    _, segment, rows = found[0]
    if len(found) == 1 and rows[-1] - rows[0] + 1 == count:  # they lie so
        for code, asked in enumerate(vectors):
            yield code, asked, segment.codes[code, rows[0] : rows[-1] + 1]
        return
    codes = _scratch(count * width).reshape(count, width)
    for code, asked in enumerate(vectors):
        start = 0
        for _, segment, rows in found:
            # the rows are valid; "clip" lets numpy write to the scratch at once
            segment.codes[code].take(rows, axis=0, out=codes[start : start + len(rows)], mode="clip")
            start += len(rows)
        yield code, asked, codes


def _scratch(size: int) -> npt.NDArray[np.uint8]:
    """Memory of this thread's own, for as long as it needs no other: fresh memory costs more than its use."""
    if size > _SCRATCH:
        return np.empty(size, dtype=np.uint8)
    held: npt.NDArray[np.uint8] | None = getattr(_threads, "scratch", None)
    if held is None or len(held) < size:
        held = _threads.scratch = np.empty(max(size, 1 << 19), dtype=np.uint8)
    return held[:size]


def joined(found: Sequence[Products], vectors: int) -> Products:
    """All in the order of their ids."""
    if not found:
        empty = np.empty(0, dtype=np.int64)
        return Products(empty, empty, empty, np.empty((occlusion.COUNT, vectors, 0), dtype=np.float32))
    ids = np.concatenate([some.ids for some in found])
    people = np.concatenate([some.people for some in found])
    parts = np.concatenate([some.parts for some in found])
    values = found[0].values if len(found) == 1 else np.concatenate([some.values for some in found], axis=2)
    if (ids[1:] > ids[:-1]).all():
        return Products(ids, people, parts, values)
    order = np.argsort(ids)
    return Products(ids[order], people[order], parts[order], values[:, :, order])


NOTHING = Hits(
    ids=np.empty(0, dtype=np.int64),
    people=np.empty(0, dtype=np.int64),
    parts=np.empty(0, dtype=np.int64),
    scores=np.empty(0, dtype=np.float32),
)
