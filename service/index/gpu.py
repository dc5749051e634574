"""Flat segments searched on a GPU, where FAISS has one: copies of their features, made when first searched.

What cannot be done there is done on the CPU, which has everything: a sum over several codes, a search among
few pictures, a segment that a copy does not fit. The first fault that FAISS raises ends the GPU's use until
the next start; at a CUDA fault it may abort the process instead.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import faiss
import numpy as np
import numpy.typing as npt

from service.index.segment import Segment

__all__ = ["GpuFlats"]

_log = logging.getLogger(__name__)

_LEAST: Final = 4096
"""Rows of a segment that are worth the way to the GPU."""

_MOST_RESULTS: Final = 1024
"""That are asked of FAISS on a GPU, which has an upper limit of 2,048."""

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class GpuFlats:
    """The copies. Float32, twice what the CPU keeps: halves would round the query too.

    Args:
        make: an empty inner-product index on the GPU, for a dimension.
        on_fault: called when the GPU failed.
        least: rows of a segment that is searched there.
    """

    def __init__(
        self, make: Callable[[int], Any], on_fault: Callable[[], None] = lambda: None, least: int = _LEAST
    ) -> None:
        self._make = make
        self._on_fault = on_fault
        self._least = least
        self._broken = False
        # FAISS's GPU indexes take one caller at a time; freeing one is a call too, on what all of them share
        self._lock = threading.Lock()
        self._copies: dict[int, tuple[weakref.ref[Any], dict[int, Any]]] = {}
        self._gone: deque[tuple[int, weakref.ref[Any]]] = deque()  # of segments that nobody has any more

    @classmethod
    def of_this_machine(cls, dimension: int, on_fault: Callable[[], None]) -> GpuFlats | None:
        """On the first GPU that FAISS sees; None where there is none, or it finds other than the CPU does."""
        if not faiss.get_num_gpus():
            return None
        try:
            resources = faiss.StandardGpuResources()
            made = cls(lambda d: faiss.GpuIndexFlatIP(resources, d), on_fault)
            made.check(dimension)
        except Exception:  # whatever FAISS, CUDA or a build without either raises
            _log.exception("the GPU that FAISS sees is of no use; the index is searched on the CPU")
            on_fault()
            return None
        return made

    def check(self, dimension: int) -> None:
        """Search random features there and here.

        Raises:
            RuntimeError: what was found differs.
        """
        generator = np.random.default_rng(0)
        features = generator.normal(size=(_LEAST, dimension)).astype(np.float32)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        index = self._make(dimension)
        index.add(features)
        scores, rows = index.search(features[:8], 10)
        expected = np.sort(features[:8] @ features.T)[:, :-11:-1]
        found = np.take_along_axis(features[:8] @ features.T, rows, axis=1)
        if not (np.allclose(scores, expected, atol=1e-3) and np.allclose(found, expected, atol=1e-3)):
            raise RuntimeError("the GPU finds other pictures than the CPU does")

    def nearest(self, segment: Segment, terms: Mapping[int, Floats], k: int) -> tuple[Floats, Rows] | None:
        """As :meth:`Segment.nearest` among all rows; None: the CPU must search."""
        asked = k + segment.size - segment.count  # rows that are no longer alive may be among the best
        if (
            self._broken
            or len(terms) != 1
            or segment.lists is not None
            or segment.size < self._least
            or asked > _MOST_RESULTS
        ):
            return None
        ((code, vector),) = terms.items()
        with self._lock:
            if self._broken:
                return None
            try:
                found = self._search(segment, code, vector, asked)
            except Exception:  # whatever FAISS or CUDA raises, most likely for want of memory
                _log.exception("the GPU failed; the index is searched on the CPU from here on")
                self._broken = True
                self._copies.clear()
                self._on_fault()
                return None
        if found is None:
            return None
        scores, rows = found
        good = (rows >= 0) & segment.alive[rows]
        return scores[good][:k], rows[good][:k]

    def forget(self, segment: Segment) -> None:
        """Drop the copies of a segment in which rows were overwritten; the next search makes others."""
        with self._lock:
            self._drop_gone()
            self._copies.pop(id(segment.codes), None)

    def _search(self, segment: Segment, code: int, vector: Floats, asked: int) -> tuple[Floats, Rows] | None:
        """The best rows, dead ones too; None: a later version of the segment has been copied.

        A method of its own, so that no variable holds on to a copy when the lock is free again.
        """
        self._drop_gone()
        index = self._copy(segment, code)
        if index.ntotal != segment.size:
            return None
        scores, rows = index.search(np.ascontiguousarray(vector[None], np.float32), asked)
        return scores[0], rows[0]

    def _drop_gone(self) -> None:
        while self._gone:
            key, of = self._gone.popleft()
            if key in self._copies and self._copies[key][0] is of:  # else the place in memory is another's
                del self._copies[key]

    def _copy(self, segment: Segment, code: int) -> Any:
        """What the GPU has of a segment under a code, with the rows that came since."""
        key, copies = id(segment.codes), self._copies
        if key not in copies or copies[key][0]() is not segment.codes:

            def gone(of: weakref.ref[Any]) -> None:
                # In whatever thread, also one that holds the lock. Where that is taken, whoever searches or
                # forgets next drops the copy.
                self._gone.append((key, of))
                if self._lock.acquire(blocking=False):
                    try:
                        self._drop_gone()
                    finally:
                        self._lock.release()

            copies[key] = (weakref.ref(segment.codes, gone), {})
        index = copies[key][1].get(code)
        if index is None:
            index = copies[key][1][code] = self._make(len(segment.total[code]))
        if index.ntotal < segment.size:
            index.add(segment.features(code, np.arange(index.ntotal, segment.size)))
        return index
