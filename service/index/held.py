"""One gallery in memory: segments by part, in versions, and what of them is to be rewritten."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion
from models.fusion import Cohort
from service.index import clustering
from service.index.codec import Codec
from service.index.gpu import GpuFlats
from service.index.options import BLOCK, IndexOptions
from service.index.protocol import Entries, Hits, PartSearch, Products
from service.index.reading import joined, products_of, search_in
from service.index.segment import Segment
from service.index.versions import Versions

__all__ = ["Held"]

_log = logging.getLogger(__name__)

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

State = Mapping[int, tuple[Segment, ...]]
Rows = npt.NDArray[np.int64]


class Held:
    """One gallery: its parts, in versions. Writers take turns."""

    def __init__(
        self, dimension: int, options: IndexOptions, halves: Codec, gpu: GpuFlats | None = None
    ) -> None:
        self._dimension = dimension
        self._gpu = gpu
        self.options = options  # replaced as a whole, by keep
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
            if last is None or not open_ or last.size >= BLOCK:
                held = sum(segment.count for segment in segments if segment.lists is None)
                room = min(BLOCK, max(_LEAST, len(rows), held))
                segments.append(Segment.empty(self._halves, self._dimension, room))
            elif last.size + len(rows) > last.capacity and last.capacity < BLOCK:
                room = min(BLOCK, max(last.count + len(rows), 2 * last.count))
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

    def keep(self, options: IndexOptions) -> bool:
        """Keep it so from here on; whether pictures that are there stay as they are until added again."""
        with self._writing:
            self.options = options
            return options.flat_up_to is None and self.clustered() > 0

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
            small = [one for one in segments[:-1] if one.lists is None and one.count * _TOGETHER <= BLOCK]
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
                if cluster and self.options.flat_up_to is None:
                    _log.info("part %d stays as it is: the gallery has become flat meanwhile", part)
                    return
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
            return [search_in(state.get(search.part, ()), search, k, self._gpu) for search in searches]

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
            return joined([products_of(some, vectors) for some in found.values()], vectors.shape[1])


def _present(segments: Sequence[Segment], then: Segment) -> Segment:
    """What has become of a segment; where it is gone, all of its rows are."""
    for segment in segments:
        if segment.codes is then.codes:
            return segment
    return replace(then, alive=np.zeros_like(then.alive), count=0)
