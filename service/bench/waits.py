"""`penumbra bench waits`: how long a search is held up while pictures come and go, in one process.

What a search does not spend computing it waits: for a lock, for Python's interpreter lock, or for a processor
that does something else. The first two are the index's doing; how much the third is, the same searches show
without a writer. On a machine that is busy with other things both are long; what holds there too is that no
update can hold up a search for longer than it computes.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from models import occlusion
from service.bench.crowd import PER_PERSON, Crowd
from service.index.local import LocalIndex
from service.index.options import IndexOptions
from service.index.protocol import Entries, PartSearch

__all__ = ["WaitFigures", "Waits", "measure_waits"]

_GALLERY: Final = 1
_AT_ONCE: Final = 2048
_ENROLLED: Final = 64  # the most of one enrolment
_LOOK_AT: Final = 40


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds that searches did not compute: of the middle one, and of the longest."""

    median_ms: float
    longest_ms: float


@dataclass(frozen=True, slots=True)
class WaitFigures:
    """What was measured.

    Attributes:
        pictures, dimension, searches: what was searched, and how often each time.
        search_ms: processor time of a search, median.
        alone, with_writer: waits without and with a thread that enrols and erases all the time.
        updates: enrolments and erasures, of 64 pictures each, meanwhile.
        longest_update_ms: processor time of the one that took longest.
    """

    pictures: int
    dimension: int
    searches: int
    search_ms: float
    alone: Waits
    with_writer: Waits
    updates: int
    longest_update_ms: float


def measure_waits(
    pictures: int,
    dimension: int,
    searches: int,
    options: IndexOptions,
    advance: Callable[[int], object] | None = None,
) -> WaitFigures:
    """Fill an index, search it, and search it again while another thread enrols and erases.

    Args:
        advance: told how many pictures more are in the index.
    """
    crowd = Crowd(dimension, -(-pictures // PER_PERSON))
    index = LocalIndex(dimension, options)
    for start in range(0, pictures, _AT_ONCE):
        count = min(_AT_ONCE, pictures - start)
        index.add(_GALLERY, _entries(crowd, start, count, start))
        index.catch_up(_GALLERY)
        if advance is not None:
            advance(count)
    vectors = crowd.queries(searches)[:, occlusion.NONE]
    alone, computing = _search(index, vectors)
    ending = threading.Event()
    updates: list[float] = []
    writer = threading.Thread(target=_write, args=(index, crowd, pictures, ending, updates))
    writer.start()
    try:
        with_writer, _ = _search(index, vectors)
    finally:
        ending.set()
        writer.join()
    return WaitFigures(
        pictures, dimension, searches, computing, alone, with_writer, len(updates), max(updates)
    )


def _search(index: LocalIndex, vectors: np.ndarray) -> tuple[Waits, float]:
    waits, computing = [], []
    for vector in vectors:
        wall, own = time.perf_counter(), time.thread_time()
        index.search(_GALLERY, [PartSearch(occlusion.NONE, {occlusion.NONE: vector})], _LOOK_AT)
        own = time.thread_time() - own
        waits.append(1000 * max(0.0, time.perf_counter() - wall - own))
        computing.append(1000 * own)
    return Waits(statistics.median(waits), max(waits)), statistics.median(computing)


def _write(
    index: LocalIndex, crowd: Crowd, pictures: int, ending: threading.Event, updates: list[float]
) -> None:
    """Enrol pictures anew and erase those that have been there longest, so that as many stay."""
    oldest, number = 0, pictures
    while not ending.is_set() or not updates:
        first = number % max(1, pictures - _ENROLLED)
        entries = _entries(crowd, first, _ENROLLED, number)
        began = time.thread_time()
        index.add(_GALLERY, entries)
        between = time.thread_time()
        index.remove(_GALLERY, range(oldest, oldest + _ENROLLED))
        updates += [1000 * (between - began), 1000 * (time.thread_time() - between)]
        oldest, number = oldest + _ENROLLED, number + _ENROLLED


def _entries(crowd: Crowd, first: int, count: int, number: int) -> Entries:
    ids = np.arange(number, number + count, dtype=np.int64)
    return Entries(ids, ids, np.zeros(count, dtype=np.int64), crowd.pictures(first, count))
