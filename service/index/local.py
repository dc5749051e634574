"""The index of one process, in memory: FAISS's quantizers on segments of ours.

A part of a gallery consists of segments (:mod:`service.index.segment`). Up to ``flat_up_to`` pictures of it
are flat, in 16 bits: searched exactly. What is beyond is clustered in the background, and searched as it is
meanwhile; so are clustered segments again when four of a size have come together. What has lost a quarter of
its pictures, or become small, is put together. An update makes another version of the gallery
(:mod:`service.index.versions`): searches neither wait for it nor see half of it. What was removed is
overwritten before the removal returns; what a rewriting had read of it before, when that ends.

Weighed against ``IndexIVFScalarQuantizer`` for each code: that keeps nine lists of ids and nine places for a
picture, moves rows when one is removed, and cannot be read while it is written. HNSW wants links too, a fifth
of the memory more at 8 bits, and cannot remove.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import faiss
import numpy as np
import numpy.typing as npt

from models import occlusion
from models.fusion import Cohort
from service.index import clustering
from service.index.codec import Bits, Codec
from service.index.gpu import GpuFlats
from service.index.protocol import Entries, Hits, IndexKind, PartSearch, Products
from service.index.segment import Segment
from service.index.versions import Versions

__all__ = ["FLAT", "IndexOptions", "LocalIndex"]

_log = logging.getLogger(__name__)

_BLOCK: Final = 16_384
"""Most pictures of a flat segment, 151 MB at D = 512: an update copies no more."""

_LEAST: Final = 64
"""Pictures that a new segment has room for."""

_TOGETHER: Final = 4
"""Clustered segments of a size, or small flat ones, that are made one."""

_DEAD: Final = 4
"""A segment is rewritten when one row of so many is no longer alive, ..."""

_DEAD_LEAST: Final = 64
"""... and no fewer than this."""

_BEHIND: Final = 4
"""Times ``flat_up_to`` that may be flat; beyond, whoever adds should let the clustering catch up."""

_PAUSE_S: Final = 60.0  # after a clustering failed, e.g. for want of memory

_SCRATCH: Final = 4 * 1024 * 1024
"""Bytes that a thread may keep for its next search."""

_threads = threading.local()

State = Mapping[int, tuple[Segment, ...]]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How an index keeps and searches.

    Attributes:
        flat_up_to: pictures of a part that are searched exactly; None: all, always.
        bits: of a component in clustered segments.
        share: of a clustered segment's pictures that a search looks at, above 0, to 1.
        least_clustered: instead of ``flat_up_to``, unless that is less, where a gallery's kind is
            ``clustered``; lists of fewer would save nothing.
    """

    flat_up_to: int | None = 100_000
    bits: Bits = 8
    share: float = 0.2
    least_clustered: int = _BLOCK

    def of_kind(self, kind: IndexKind) -> IndexOptions:
        """The options of a gallery of this kind."""
        if kind == "flat":
            return replace(self, flat_up_to=None)
        if kind == "clustered":
            least = self.least_clustered
            return replace(self, flat_up_to=min(least, self.flat_up_to or least))
        return self


FLAT: Final = IndexOptions(flat_up_to=None)


class LocalIndex:
    """See the module.

    Args:
        dimension: D of the embeddings.
        options: how it keeps and searches.
        gpu: where flat segments are searched; None: on the CPU.
    """

    def __init__(self, dimension: int, options: IndexOptions = FLAT, gpu: GpuFlats | None = None) -> None:
        if dimension < 1:
            raise ValueError(f"dimension must be positive, not {dimension}")
        self._dimension = dimension
        self._options = options
        self._gpu = gpu
        self._halves = Codec(dimension)
        self._galleries: dict[int, _Gallery] = {}
        self._kinds: dict[int, IndexKind] = {}
        self._lock = threading.Condition()  # of the dictionary and the worker, never held during a search
        self._worker: threading.Thread | None = None
        self._not_before = 0.0

    def __str__(self) -> str:
        options = self._options
        beyond = "" if options.flat_up_to is None else f" up to {options.flat_up_to:,} pictures of a part"
        kept = f"flat{beyond}"
        if options.flat_up_to is not None:
            kept += f", then clustered in {options.bits} bits, of which {options.share:.0%} are looked at"
        where = "the CPU" if self._gpu is None else "the CPU, flat segments on the GPU"
        return f"FAISS {faiss.__version__} on {where}: {kept}"

    def add(self, gallery: int, entries: Entries) -> None:
        """See :meth:`VectorIndex.add`. It waits for no clustering: see :meth:`behind`.

        Raises:
            ValueError: the arrays do not fit together, a code is not 0 to 8, or an id comes twice.
        """
        count = len(entries.ids)
        if entries.features.shape != (count, occlusion.COUNT, self._dimension):
            raise ValueError(
                f"features must be [{count}, {occlusion.COUNT}, {self._dimension}], "
                f"not {list(entries.features.shape)}"
            )
        if entries.people.shape != (count,) or entries.occlusions.shape != (count,):
            raise ValueError("ids, people and occlusions must have the same length")
        if len(np.unique(entries.ids)) != count:
            raise ValueError("an id comes twice")
        if count == 0:
            return
        if entries.occlusions.min() < 0 or entries.occlusions.max() >= occlusion.COUNT:
            raise ValueError(f"occlusion codes must be 0 to {occlusion.COUNT - 1}")
        with self._lock:
            held = self._galleries.get(gallery)
            if held is None:
                options = self._options.of_kind(self._kinds.get(gallery, "auto"))
                held = self._galleries[gallery] = _Gallery(self._dimension, options, self._halves, self._gpu)
        held.add(entries)
        self._tend(held)

    def behind(self, gallery: int) -> bool:
        """See :meth:`VectorIndex.behind`."""
        with self._lock:
            held = self._galleries.get(gallery)
            return held is not None and self._worker is not None and held.behind()

    def catch_up(self, gallery: int) -> None:
        """See :meth:`VectorIndex.catch_up`."""
        held = self._held(gallery)
        if held is not None:
            with self._lock:
                self._lock.wait_for(lambda: self._worker is None or not held.behind())

    def remove(self, gallery: int, ids: Sequence[int]) -> None:
        """See :meth:`VectorIndex.remove`. When it returns, the features are overwritten."""
        held = self._held(gallery)
        if held is not None and len(ids):
            held.remove(np.asarray(ids, dtype=np.int64))
            self._tend(held)

    def assign(self, gallery: int, ids: Sequence[int], person: int) -> None:
        """See :meth:`VectorIndex.assign`."""
        held = self._held(gallery)
        if held is not None and len(ids):
            held.assign(np.asarray(ids, dtype=np.int64), person)

    def drop(self, gallery: int) -> None:
        """See :meth:`VectorIndex.drop`. A search that runs meanwhile still ends on the old gallery."""
        with self._lock:
            self._galleries.pop(gallery, None)
            self._kinds.pop(gallery, None)

    def keep(self, gallery: int, kind: IndexKind) -> bool:
        """See :meth:`VectorIndex.keep`. What is flat is clustered in the background, never the other way."""
        with self._lock:
            self._kinds[gallery] = kind
            held = self._galleries.get(gallery)
            if held is None:
                return False
            held.options = self._options.of_kind(kind)
        self._tend(held)
        return held.options.flat_up_to is None and held.clustered() > 0

    def parts(self, gallery: int) -> dict[int, int]:
        """See :meth:`VectorIndex.parts`."""
        held = self._held(gallery)
        return {} if held is None else held.sizes()

    def search(self, gallery: int, searches: Sequence[PartSearch], k: int) -> list[Hits]:
        """See :meth:`VectorIndex.search`."""
        if k < 1:
            raise ValueError(f"k must be positive, not {k}")
        for search in searches:
            for code, vector in search.terms.items():
                if vector.shape != (self._dimension,):
                    raise ValueError(
                        f"code {code} has a vector {list(vector.shape)}, expected [{self._dimension}]"
                    )
        held = self._held(gallery)
        return [_NOTHING for _ in searches] if held is None else held.search(searches, k)

    def cohort(self, gallery: int) -> Cohort:
        """See :meth:`VectorIndex.cohort`."""
        held = self._held(gallery)
        return Cohort(np.zeros((occlusion.COUNT, self._dimension)), 0) if held is None else held.cohort()

    def products(self, gallery: int, vectors: npt.NDArray[np.float32], among: Rows | None = None) -> Products:
        """See :meth:`VectorIndex.products`."""
        if vectors.ndim != 3 or (vectors.shape[0], vectors.shape[2]) != (occlusion.COUNT, self._dimension):
            raise ValueError(
                f"vectors must be [{occlusion.COUNT}, m, {self._dimension}], not {list(vectors.shape)}"
            )
        held = self._held(gallery)
        return _joined([], vectors.shape[1]) if held is None else held.products(vectors, among)

    def clustered(self, gallery: int) -> int:
        """How many pictures lie in clustered segments."""
        held = self._held(gallery)
        return 0 if held is None else held.clustered()

    def settle(self) -> None:
        """Wait until nothing is left to be rewritten; for measurements and tests."""
        with self._lock:
            self._lock.wait_for(lambda: self._worker is None)

    def _held(self, gallery: int) -> _Gallery | None:
        with self._lock:
            return self._galleries.get(gallery)

    def _tend(self, held: _Gallery) -> None:
        """Begin to rewrite in the background, if there is something to rewrite and nobody does."""
        with self._lock:
            if self._worker is None and time.monotonic() >= self._not_before and held.job() is not None:
                self._worker = threading.Thread(target=self._work, name="index", daemon=True)
                self._worker.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                jobs = (held.job() for held in self._galleries.values())
                job = next((job for job in jobs if job is not None), None)
                if job is None:
                    self._worker = None
                    self._lock.notify_all()
                    return
            try:
                job()
            except Exception:  # what is there goes on serving
                _log.exception("the index could not be rewritten; it is searched as it is")
                with self._lock:
                    self._not_before = time.monotonic() + _PAUSE_S
                    self._worker = None
                    self._lock.notify_all()
                return
            with self._lock:
                self._lock.notify_all()


class _Gallery:
    """One gallery: its parts, in versions. Writers take turns."""

    def __init__(
        self, dimension: int, options: IndexOptions, halves: Codec, gpu: GpuFlats | None = None
    ) -> None:
        self._dimension = dimension
        self._gpu = gpu
        self.options = options  # replaced as a whole
        self._halves = halves
        # its steps hold for the gallery as long as they reach, so that bytes are copied as they are
        self._bytes: Codec | None = None
        self._versions: Versions[State] = Versions({})
        self._writing = threading.Lock()
        self._in_rewriting: Sequence[Segment] = ()

    # Updates

    def add(self, entries: Entries) -> None:
        with self._writing:
            state, gone = self._without(entries.ids)
            for code in np.unique(entries.occlusions):
                rows = np.flatnonzero(entries.occlusions == code)
                segments = list(state.get(int(code), ()))
                self._append(segments, entries, rows)
                state[int(code)] = tuple(segments)
            self._publish(state, gone)

    def remove(self, ids: Rows) -> None:
        with self._writing:
            state, gone = self._without(ids)
            if gone:
                self._publish(state, gone)

    def assign(self, ids: Rows, person: int) -> None:
        with self._writing:
            state = dict(self._versions.present)
            for part, segments in state.items():
                found = [(segment, segment.rows_of(ids)) for segment in segments]
                state[part] = tuple(
                    segment.assigned(rows, person) if len(rows) else segment for segment, rows in found
                )
            self._versions.publish(state)

    def _without(self, ids: Rows) -> tuple[dict[int, tuple[Segment, ...]], list[tuple[Segment, Rows]]]:
        """The state without some pictures, and where they lie."""
        state = dict(self._versions.present)
        gone = []
        for part, segments in list(state.items()):
            left = []
            for segment in segments:
                rows = segment.rows_of(ids)
                if len(rows):
                    gone.append((segment, rows))
                if len(rows) < segment.count:
                    left.append(segment.without(rows) if len(rows) else segment)
            state[part] = tuple(left)
            if not left:
                del state[part]
        return state, gone

    def _append(self, segments: list[Segment], entries: Entries, rows: Rows) -> None:
        while len(rows):
            last = segments[-1] if segments else None
            open_ = last is not None and last.lists is None and not self._is_in_rewriting(last)
            if last is None or not open_ or last.size >= _BLOCK:
                held = sum(segment.count for segment in segments if segment.lists is None)
                room = min(_BLOCK, max(_LEAST, len(rows), held))
                segments.append(Segment.empty(self._halves, self._dimension, room))
            elif last.size + len(rows) > last.capacity and last.capacity < _BLOCK:
                room = min(_BLOCK, max(last.count + len(rows), 2 * last.count))
                segments[-1] = last.moved(room)
            some, rows = np.split(rows, [segments[-1].capacity - segments[-1].size])
            segments[-1] = segments[-1].appended(
                entries.ids[some], entries.people[some], entries.features[some]
            )

    def _publish(self, state: State, gone: Sequence[tuple[Segment, Rows]]) -> None:
        self._versions.publish(state)
        if gone:
            self._versions.settle()
            for segment, rows in gone:
                segment.overwrite(rows)
                if self._gpu is not None:
                    self._gpu.forget(segment)

    # Rewriting

    def behind(self) -> bool:
        limit = self.options.flat_up_to
        return limit is not None and any(
            sum(segment.count for segment in segments if segment.lists is None) > _BEHIND * limit
            for segments in self._versions.present.values()
        )

    def clustered(self) -> int:
        segments = (segment for part in self._versions.present.values() for segment in part)
        return sum(segment.count for segment in segments if segment.lists is not None)

    def job(self) -> Callable[[], None] | None:
        """What should be rewritten next; None: nothing."""
        for part, segments in self._versions.present.items():
            if chosen := self._to_cluster(segments):
                return partial(self._rewrite, part, chosen, True)
            for one in segments:
                if one.lists is not None and self.options.flat_up_to is None:
                    continue  # its pictures are being added again, and it ends with the last
                dead = one.size - one.count
                if dead * _DEAD >= one.size and dead >= _DEAD_LEAST:
                    return partial(self._rewrite, part, [one], one.lists is not None)
            # the last one grows; those before it only shrink
            small = [one for one in segments[:-1] if one.lists is None and one.count * _TOGETHER <= _BLOCK]
            if len(small) >= _TOGETHER:
                return partial(self._rewrite, part, small[:_TOGETHER], False)
        return None

    def _to_cluster(self, segments: Sequence[Segment]) -> Sequence[Segment]:
        limit = self.options.flat_up_to
        if limit is None:
            return ()
        flat = [segment for segment in segments if segment.lists is None]
        if sum(segment.count for segment in flat) > limit:
            return flat
        sizes: dict[int, list[Segment]] = {}
        for segment in segments:
            if segment.lists is not None:
                size = max(0, int(math.log(max(1.0, segment.count / max(1, limit)), _TOGETHER)))
                sizes.setdefault(size, []).append(segment)
        return next((alike for alike in sizes.values() if len(alike) >= _TOGETHER), ())

    def _rewrite(self, part: int, chosen: Sequence[Segment], cluster: bool) -> None:
        with self._writing:
            present = self._versions.present.get(part, ())
            chosen = [now for now in present if any(now.codes is one.codes for one in chosen)]
            if not chosen:
                return
            self._in_rewriting = chosen  # nothing is appended to them from here on
        try:
            began = time.perf_counter()
            if cluster:
                made, places = clustering.clustered(chosen, self._codec(chosen), self.options.share)
            else:
                made, places = clustering.compacted(chosen)
            with self._writing:
                state = dict(self._versions.present)
                made = clustering.caught_up(
                    made, places, [_present(state.get(part, ()), segment) for segment in chosen]
                )
                others = [
                    segment
                    for segment in state.get(part, ())
                    if not any(segment.codes is one.codes for one in chosen)
                ]
                segments = (made, *others) if made.count else tuple(others)
                if segments:
                    state[part] = segments
                self._versions.publish(state)
        finally:
            self._in_rewriting = ()
        _log.info(
            "part %d: %d pictures %s in %.1f s",
            part,
            made.count,
            "clustered" if cluster else "put together",
            time.perf_counter() - began,
        )

    def _codec(self, chosen: Sequence[Segment]) -> Codec:
        if self.options.bits == 16:
            return self._halves
        if halves := [segment for segment in chosen if segment.codec is self._halves]:
            self._bytes = Codec.reaching(clustering.largest(halves), self._bytes)
        assert self._bytes is not None, "what is not stored in 16 bits is stored by these steps"
        return self._bytes

    def _is_in_rewriting(self, segment: Segment) -> bool:
        return any(segment.codes is one.codes for one in self._in_rewriting)

    # Reading

    def sizes(self) -> dict[int, int]:
        state = self._versions.present
        return {part: sum(segment.count for segment in state[part]) for part in sorted(state)}

    def search(self, searches: Sequence[PartSearch], k: int) -> list[Hits]:
        with self._versions.read() as state:
            return [_search(state.get(search.part, ()), search, k, self._gpu) for search in searches]

    def cohort(self) -> Cohort:
        total = np.zeros((occlusion.COUNT, self._dimension))
        segments = [segment for part in self._versions.present.values() for segment in part]
        return Cohort(
            sum((segment.total for segment in segments), total), sum(segment.count for segment in segments)
        )

    def products(self, vectors: npt.NDArray[np.float32], among: Rows | None) -> Products:
        with self._versions.read() as state:
            found: dict[Codec, list[tuple[int, Segment, Rows]]] = {}
            for part, segments in state.items():
                for segment in segments:
                    if among is None:
                        rows = np.flatnonzero(segment.alive[: segment.size])
                    else:
                        rows = segment.rows_of(among)
                    if len(rows):
                        found.setdefault(segment.codec, []).append((part, segment, rows))
            return _joined([_products(some, vectors) for some in found.values()], vectors.shape[1])


def _present(segments: Sequence[Segment], then: Segment) -> Segment:
    """What has become of a segment; where it is gone, all of its rows are."""
    for segment in segments:
        if segment.codes is then.codes:
            return segment
    return replace(then, alive=np.zeros_like(then.alive), count=0)


def _search(segments: Sequence[Segment], search: PartSearch, k: int, gpu: GpuFlats | None) -> Hits:
    ids, people, scores = [], [], []
    for segment in segments:
        among = None if search.among is None else segment.rows_of(search.among)
        found = gpu.nearest(segment, search.terms, k) if gpu is not None and among is None else None
        values, rows = segment.nearest(search.terms, k, among) if found is None else found
        ids.append(segment.ids[rows])
        people.append(segment.people[rows])
        scores.append(values)
    if not ids:
        return _NOTHING
    all_ids, all_scores = np.concatenate(ids), np.concatenate(scores)
    best = np.lexsort((all_ids, -all_scores))[:k]
    return Hits(
        ids=all_ids[best],
        people=np.concatenate(people)[best],
        parts=np.full(len(best), search.part, dtype=np.int64),
        scores=all_scores[best],
    )


def _products(found: Sequence[tuple[int, Segment, Rows]], vectors: npt.NDArray[np.float32]) -> Products:
    """Of rows of segments that store in the same way: together, since every search costs something."""
    ids = np.concatenate([segment.ids[rows] for _, segment, rows in found])
    values = np.empty((*vectors.shape[:2], len(ids)), dtype=np.float32)
    numbers = np.arange(len(ids))
    codec = found[0][1].codec
    codes = _scratch(len(ids) * codec.width).reshape(len(ids), codec.width)
    for code, asked in enumerate(vectors):
        start = 0
        for _, segment, rows in found:
            # the rows are valid; "clip" lets numpy write to the scratch at once
            segment.codes[code].take(rows, axis=0, out=codes[start : start + len(rows)], mode="clip")
            start += len(rows)
        codec.products(code, asked, codes, numbers, values[code])
    return Products(
        ids,
        np.concatenate([segment.people[rows] for _, segment, rows in found]),
        np.concatenate([np.full(len(rows), part, dtype=np.int64) for part, _, rows in found]),
        values,
    )


def _scratch(size: int) -> npt.NDArray[np.uint8]:
    """Memory of this thread's own, for as long as it needs no other: fresh memory costs more than its use."""
    if size > _SCRATCH:
        return np.empty(size, dtype=np.uint8)
    held: npt.NDArray[np.uint8] | None = getattr(_threads, "scratch", None)
    if held is None or len(held) < size:
        held = _threads.scratch = np.empty(max(size, 1 << 19), dtype=np.uint8)
    return held[:size]


def _joined(found: Sequence[Products], vectors: int) -> Products:
    """All in the order of their ids."""
    empty = np.empty(0, dtype=np.int64)
    ids = np.concatenate([empty, *(some.ids for some in found)])
    order = np.argsort(ids)
    return Products(
        ids[order],
        np.concatenate([empty, *(some.people for some in found)])[order],
        np.concatenate([empty, *(some.parts for some in found)])[order],
        np.concatenate(
            [np.empty((occlusion.COUNT, vectors, 0), dtype=np.float32), *(some.values for some in found)],
            axis=2,
        )[:, :, order],
    )


_NOTHING = Hits(
    ids=np.empty(0, dtype=np.int64),
    people=np.empty(0, dtype=np.int64),
    parts=np.empty(0, dtype=np.int64),
    scores=np.empty(0, dtype=np.float32),
)
