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
import threading
import time
from collections.abc import Sequence
from typing import Final

import faiss
import numpy as np
import numpy.typing as npt

from models import occlusion
from models.fusion import Cohort
from service.index.codec import Codec
from service.index.gpu import GpuFlats
from service.index.held import Held
from service.index.options import FLAT, IndexOptions
from service.index.protocol import Entries, Hits, IndexKind, PartSearch, Products
from service.index.reading import NOTHING, joined

__all__ = ["LocalIndex"]

_log = logging.getLogger(__name__)

_PAUSE_S: Final = 60.0  # after a clustering failed, e.g. for want of memory

Rows = npt.NDArray[np.int64]


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
        self._galleries: dict[int, Held] = {}
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
                held = self._galleries[gallery] = Held(self._dimension, options, self._halves, self._gpu)
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
        add_again = held.keep(self._options.of_kind(kind))
        self._tend(held)
        return add_again

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
        return [NOTHING for _ in searches] if held is None else held.search(searches, k)

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
        return joined([], vectors.shape[1]) if held is None else held.products(vectors, among)

    def clustered(self, gallery: int) -> int:
        """How many pictures lie in clustered segments."""
        held = self._held(gallery)
        return 0 if held is None else held.clustered()

    def settle(self) -> None:
        """Wait until nothing is left to be rewritten; for measurements and tests."""
        with self._lock:
            self._lock.wait_for(lambda: self._worker is None)

    def _held(self, gallery: int) -> Held | None:
        with self._lock:
            return self._galleries.get(gallery)

    def _tend(self, held: Held) -> None:
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
