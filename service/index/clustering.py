"""Rewrites segments in the background: as one clustered segment, or as a flat one without what was erased.

Pictures are clustered by the mean of their nine features, made unit length: what is alike under one code is
alike under the others, nearly, so one clustering serves all. Spherical k-means (FAISS) on a sample of the
very pictures that are rewritten; so a clustering is never older than its segment.

Writers go on meanwhile. Their updates reach the rewritten segment in :func:`caught_up`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import faiss
import numpy as np
import numpy.typing as npt

from models import occlusion
from service.index.codec import Codec
from service.index.segment import Lists, Segment

__all__ = ["caught_up", "clustered", "compacted", "largest", "sample"]

_LISTS: Final = 4
"""Times the root of the number of pictures: how many lists."""

_PER_LIST: Final = 20
"""Pictures of the sample for each list."""

_ROUNDS: Final = 6
"""Of k-means."""

_AT_ONCE: Final = 2048  # rows held as float32 at a time: 4 MB a code at D = 512
_SEED: Final = 20190601


def sample(segments: Sequence[Segment], count: int) -> npt.NDArray[np.float32]:
    """Features [n, 9, D] of at most so many pictures that are alive, evenly from everywhere."""
    rows = [np.flatnonzero(segment.alive[: segment.size]) for segment in segments]
    step = max(1, -(-sum(map(len, rows)) // count))
    found = []
    for segment, alive in zip(segments, rows, strict=True):
        some = alive[::step]
        found.append(np.stack([segment.features(code, some) for code in range(occlusion.COUNT)], axis=1))
    return np.concatenate(found)


def largest(segments: Sequence[Segment]) -> npt.NDArray[np.float32]:
    """How large each component becomes in any picture that is alive, either way, [9, D]."""
    found = np.zeros(segments[0].total.shape, dtype=np.float32)
    alive = [np.flatnonzero(segment.alive[: segment.size]) for segment in segments]
    for _, segment, rows in _blocks(segments, alive):
        for code, sizes in enumerate(found):
            np.maximum(sizes, np.abs(segment.features(code, rows)).max(axis=0), out=sizes)
    return found


def clustered(
    segments: Sequence[Segment], codec: Codec, share: float
) -> tuple[Segment, list[npt.NDArray[np.int64]]]:
    """All pictures of some segments as one clustered segment.

    Args:
        segments: of one part; at least one picture is alive.
        codec: how the new one stores; features that are stored so already are copied as they are.
        share: of the rows, that a search of it will look at.

    Returns:
        The segment, and for each of ``segments`` the new row of each of its rows, int64, -1 where it is gone.
    """
    faiss.omp_set_num_threads(1)  # this thread's own: searches need the other cores
    alive = [np.flatnonzero(segment.alive[: segment.size]) for segment in segments]
    count = sum(map(len, alive))
    number = min(count, round(_LISTS * math.sqrt(count)))
    centres = _centres(sample(segments, number * _PER_LIST), number)
    of_list = np.empty(count, dtype=np.int64)
    for start, segment, rows in _blocks(segments, alive):
        of_list[start : start + len(rows)] = centres.search(_summaries(segment, rows), 1)[1][:, 0]
    place = np.empty(count, dtype=np.int64)
    place[np.argsort(of_list, kind="stable")] = np.arange(count)
    starts = np.concatenate([[0], np.cumsum(np.bincount(of_list, minlength=number))])

    made = Segment.empty(codec, segments[0].total.shape[1], count)
    for start, segment, rows in _blocks(segments, alive):
        at = place[start : start + len(rows)]
        made.ids[at], made.people[at] = segment.ids[rows], segment.people[rows]
        for code in range(occlusion.COUNT):
            if segment.codec is codec:
                made.codes[code, at] = segment.codes[code].take(rows, axis=0)
            else:
                made.codes[code, at] = codec.encode(code, segment.features(code, rows))
    made = replace(made, size=count, count=count, ascending=False)
    centroids = np.zeros((occlusion.COUNT, number, made.total.shape[1]), dtype=np.float32)
    for one, (first, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        if end > first:
            sums = made.sums(np.arange(first, end))
            made.total[:] += sums  # nobody else has it yet
            centroids[:, one] = sums / (end - first)
    lists = Lists(starts, centroids, np.argsort(made.ids), share)

    return replace(made, lists=lists), _places(segments, alive, place)


def compacted(segments: Sequence[Segment]) -> tuple[Segment, list[npt.NDArray[np.int64]]]:
    """Flat segments as one, without the rows that are no longer alive; returns as :func:`clustered`."""
    alive = [np.flatnonzero(segment.alive[: segment.size]) for segment in segments]
    count = sum(map(len, alive))
    made = Segment.empty(segments[0].codec, segments[0].total.shape[1], count)
    for start, segment, rows in _blocks(segments, alive):
        end = start + len(rows)
        made.ids[start:end], made.people[start:end] = segment.ids[rows], segment.people[rows]
        for code in range(occlusion.COUNT):
            made.codes[code, start:end] = segment.codes[code].take(rows, axis=0)
    ascending = bool((np.diff(made.ids) > 0).all())
    # Of what was copied: a row that was erased meanwhile is zeros, and not what the old segments' sums have.
    made = replace(made, size=count, count=count, total=made.sums(np.arange(count)), ascending=ascending)
    return made, _places(segments, alive, np.arange(count))


def caught_up(made: Segment, places: Sequence[npt.NDArray[np.int64]], before: Sequence[Segment]) -> Segment:
    """A rewritten segment with what writers did to the old ones since.

    Args:
        made: rewritten, and nobody else's yet.
        places: new rows of the old rows, as :func:`clustered` returns them.
        before: the old ones as they are now, of the same sizes.
    """
    gone = []
    people = made.people
    for segment, new in zip(before, places, strict=True):
        kept = new >= 0
        people[new[kept]] = segment.people[: segment.size][kept]
        gone.append(new[kept & ~segment.alive[: segment.size]])
    dead = np.sort(np.concatenate(gone))
    if not len(dead):
        return made
    made = made.without(dead)
    made.overwrite(dead)
    return made


def _places(
    segments: Sequence[Segment], alive: Sequence[npt.NDArray[np.int64]], place: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.int64]]:
    """Where each segment's rows have gone, given where all that are alive have, one after the other."""
    places, offset = [], 0
    for segment, rows in zip(segments, alive, strict=True):
        new = np.full(segment.size, -1, dtype=np.int64)
        new[rows] = place[offset : offset + len(rows)]
        offset += len(rows)
        places.append(new)
    return places


def _centres(features: npt.NDArray[np.float32], number: int) -> faiss.Index:
    kmeans = faiss.Kmeans(
        features.shape[2],
        number,
        niter=_ROUNDS,
        spherical=True,
        seed=_SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=_PER_LIST,
    )
    kmeans.train(_unit(features.sum(axis=1)))
    return kmeans.index


def _summaries(segment: Segment, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    total = segment.features(0, rows)
    for code in range(1, occlusion.COUNT):
        total = total + segment.features(code, rows)
    return _unit(total)


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return unit


def _blocks(
    segments: Sequence[Segment], alive: Sequence[npt.NDArray[np.int64]]
) -> Iterator[tuple[int, Segment, npt.NDArray[np.int64]]]:
    """(place among all rows alive, segment, its rows), a few at a time."""
    place = 0
    for segment, rows in zip(segments, alive, strict=True):
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            yield place, segment, some
            place += len(some)
