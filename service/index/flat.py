"""Exact search with FAISS: one flat index per gallery, part c(i) and code u.

The indexes hold float16, the very bits that the catalog stores, and compute in float32
(``IndexScalarQuantizer`` with ``QT_fp16``). So nothing is lost between catalog and index, memory is half
of ``IndexFlatIP`` (9 · 2 · D bytes a picture: 9 KiB at D = 512), and rounding unit vectors to float16
moves a score by about 1e-5, far below what changes a rank measure by 0.1 points.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import faiss
import numpy as np
import numpy.typing as npt

from models import occlusion
from models.fusion import Cohort
from service.index.protocol import Entries, Hits, PartSearch, Products
from service.index.read_write_lock import ReadWriteLock


class FlatIndex:
    """The index of one process, in memory.

    Args:
        dimension: D of the embeddings.
    """

    def __init__(self, dimension: int) -> None:
        if dimension < 1:
            raise ValueError(f"dimension must be positive, not {dimension}")
        self._dimension = dimension
        self._galleries: dict[int, _Gallery] = {}
        self._lock = threading.Lock()  # of the dictionary only, never held during a search

    def add(self, gallery: int, entries: Entries) -> None:
        """See :meth:`VectorIndex.add`.

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
            held = self._galleries.setdefault(gallery, _Gallery(self._dimension))
        held.add(entries)

    def remove(self, gallery: int, ids: Sequence[int]) -> None:
        """See :meth:`VectorIndex.remove`."""
        held = self._held(gallery)
        if held is not None and len(ids):
            held.remove(np.asarray(ids, dtype=np.int64))

    def assign(self, gallery: int, ids: Sequence[int], person: int) -> None:
        """See :meth:`VectorIndex.assign`."""
        held = self._held(gallery)
        if held is not None and len(ids):
            held.assign(np.asarray(ids, dtype=np.int64), person)

    def drop(self, gallery: int) -> None:
        """See :meth:`VectorIndex.drop`. A search that runs meanwhile still ends on the old gallery."""
        with self._lock:
            self._galleries.pop(gallery, None)

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

    def products(
        self, gallery: int, vectors: npt.NDArray[np.float32], among: npt.NDArray[np.int64] | None = None
    ) -> Products:
        """See :meth:`VectorIndex.products`."""
        if vectors.ndim != 3 or (vectors.shape[0], vectors.shape[2]) != (occlusion.COUNT, self._dimension):
            raise ValueError(
                f"vectors must be [{occlusion.COUNT}, m, {self._dimension}], not {list(vectors.shape)}"
            )
        held = self._held(gallery)
        return _joined([], vectors.shape[1]) if held is None else held.products(vectors, among)

    def _held(self, gallery: int) -> _Gallery | None:
        with self._lock:
            return self._galleries.get(gallery)


class _Gallery:
    """One gallery: its parts, and the lock that makes an update whole or nothing for readers."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._parts: dict[int, _Part] = {}
        self._lock = ReadWriteLock()

    def add(self, entries: Entries) -> None:
        with self._lock.write():
            self._remove(entries.ids)
            for code in np.unique(entries.occlusions):
                rows = np.flatnonzero(entries.occlusions == code)
                part = self._parts.setdefault(int(code), _Part(self._dimension))
                part.append(entries.ids[rows], entries.people[rows], entries.features[rows])

    def remove(self, ids: npt.NDArray[np.int64]) -> None:
        with self._lock.write():
            self._remove(ids)

    def assign(self, ids: npt.NDArray[np.int64], person: int) -> None:
        with self._lock.write():
            for part in self._parts.values():
                part.assign(ids, person)

    def _remove(self, ids: npt.NDArray[np.int64]) -> None:
        for code in list(self._parts):
            part = self._parts[code]
            part.remove(ids)
            if part.size == 0:
                del self._parts[code]

    def sizes(self) -> dict[int, int]:
        with self._lock.read():
            return {code: self._parts[code].size for code in sorted(self._parts) if self._parts[code].size}

    def search(self, searches: Sequence[PartSearch], k: int) -> list[Hits]:
        # FAISS shares a search out by its vectors, and each of ours has one: further threads, which OpenMP
        # keeps for every thread that calls, would only spin. The setting is this thread's own.
        faiss.omp_set_num_threads(1)
        with self._lock.read():
            return [self._search(search, k) for search in searches]

    def _search(self, search: PartSearch, k: int) -> Hits:
        part = self._parts.get(search.part)
        return _NOTHING if part is None else part.search(search, k)

    def cohort(self) -> Cohort:
        with self._lock.read():
            parts = list(self._parts.values())
            total = np.zeros((occlusion.COUNT, self._dimension))
            return Cohort(sum((part.total for part in parts), total), sum(part.size for part in parts))

    def products(self, vectors: npt.NDArray[np.float32], among: npt.NDArray[np.int64] | None) -> Products:
        faiss.omp_set_num_threads(1)  # as in search
        with self._lock.read():
            found = [part.products(code, vectors, among) for code, part in self._parts.items()]
        return _joined(found, vectors.shape[1])


class _Part:
    """Pictures with one graded code: nine FAISS indexes whose row r is the picture ``ids[r]``."""

    def __init__(self, dimension: int) -> None:
        self._ids = np.empty(0, dtype=np.int64)
        self._people = np.empty(0, dtype=np.int64)
        self.size = 0
        self.total = np.zeros((occlusion.COUNT, dimension))  # halves summed in float64: nothing is lost
        self._indexes = [
            faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
            for _ in range(occlusion.COUNT)
        ]

    def append(
        self,
        ids: npt.NDArray[np.int64],
        people: npt.NDArray[np.int64],
        features: npt.NDArray[np.float16],
    ) -> None:
        end = self.size + len(ids)
        self._reserve(end)
        self._ids[self.size : end] = ids
        self._people[self.size : end] = people
        try:
            for code, index in enumerate(self._indexes):
                # QT_fp16 stores IEEE halves, little endian: the catalog's bits go in as they are
                halves = np.ascontiguousarray(features[:, code], dtype="<f2")
                index.add_sa_codes(halves.view(np.uint8))
        except BaseException:
            # e.g. out of memory half way: the nine indexes must stay aligned
            for index in self._indexes:
                index.remove_ids(faiss.IDSelectorRange(self.size, index.ntotal))
            raise
        self.total = self.total + features.sum(axis=0, dtype=np.float64)
        self.size = end

    def remove(self, ids: npt.NDArray[np.int64]) -> None:
        gone = np.isin(self._ids[: self.size], ids)
        if not gone.any():
            return
        rows = np.flatnonzero(gone)
        self.total = self.total - np.stack(
            [index.reconstruct_batch(rows).sum(axis=0, dtype=np.float64) for index in self._indexes]
        )
        for index in self._indexes:
            index.remove_ids(faiss.IDSelectorBatch(rows))  # keeps the order of the rest
        kept = np.flatnonzero(~gone)
        self._ids = self._ids[kept]
        self._people = self._people[kept]
        self.size = len(kept)

    def assign(self, ids: npt.NDArray[np.int64], person: int) -> None:
        self._people[: self.size][np.isin(self._ids[: self.size], ids)] = person

    def search(self, search: PartSearch, k: int) -> Hits:
        looked_at, selected = self.size, None
        if search.among is not None:
            wanted = np.isin(self._ids[: self.size], search.among)
            looked_at = int(np.count_nonzero(wanted))
            if looked_at == 0:
                return _NOTHING
            if looked_at < self.size:
                selected = _selection(wanted)
        if len(search.terms) == 1:
            ((code, vector),) = search.terms.items()
            scores, rows = self._nearest(code, vector, min(k, looked_at), selected)
        else:
            total = np.full(self.size, -np.inf, dtype=np.float32)
            for code, vector in search.terms.items():
                # the best of a sum need not be among the best of any term: every row's score is needed
                term_scores, term_rows = self._nearest(code, vector, looked_at, selected)
                before = total[term_rows]
                total[term_rows] = np.where(np.isneginf(before), term_scores, before + term_scores)
            rows = np.argsort(-total, kind="stable")[: min(k, looked_at)]
            scores = total[rows]
        return Hits(
            ids=self._ids[rows],
            people=self._people[rows],
            parts=np.full(len(rows), search.part, dtype=np.int64),
            scores=scores,
        )

    def products(
        self, part: int, vectors: npt.NDArray[np.float32], among: npt.NDArray[np.int64] | None
    ) -> Products:
        ids = self._ids[: self.size]
        wanted = np.ones(self.size, dtype=np.bool_) if among is None else np.isin(ids, among)
        count = int(np.count_nonzero(wanted))
        values = np.empty((occlusion.COUNT, vectors.shape[1], count), dtype=np.float32)
        if count:
            # A search for as many as are selected finds them all; it beats decoding them into an array, since
            # FAISS multiplies while it decodes.
            place = np.cumsum(wanted) - 1
            selected = _selection(wanted) if count < self.size else None
            for index, asked, into in zip(self._indexes, vectors, values, strict=True):
                found, rows = index.search(np.ascontiguousarray(asked), count, params=selected)
                np.put_along_axis(into, place[rows], found, axis=1)
        return Products(
            ids[wanted], self._people[: self.size][wanted], np.full(count, part, dtype=np.int64), values
        )

    def _nearest(
        self,
        code: int,
        vector: npt.NDArray[np.float32],
        k: int,
        selected: faiss.SearchParameters | None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        query = np.ascontiguousarray(vector[None], dtype=np.float32)
        scores, rows = self._indexes[code].search(query, k, params=selected)
        return scores[0], rows[0]

    def _reserve(self, size: int) -> None:
        """Room for ``size`` rows; grows by half, so that adding one by one stays cheap."""
        if size <= len(self._ids):
            return
        capacity = max(size, len(self._ids) * 3 // 2, 64)
        for name in ("_ids", "_people"):
            grown = np.empty(capacity, dtype=np.int64)
            grown[: self.size] = getattr(self, name)[: self.size]
            setattr(self, name, grown)


def _selection(wanted: npt.NDArray[np.bool_]) -> faiss.SearchParameters:
    """Only the rows wanted, bool [n]. FAISS's stubs do not know what its Python side makes of arrays."""
    bits = np.packbits(wanted, bitorder="little")
    selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
    return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]


def _joined(found: Sequence[Products], vectors: int) -> Products:
    """The pictures of all parts as one, in the order of their ids."""
    empty = np.empty(0, dtype=np.int64)
    ids = np.concatenate([empty, *(part.ids for part in found)])
    order = np.argsort(ids)
    return Products(
        ids[order],
        np.concatenate([empty, *(part.people for part in found)])[order],
        np.concatenate([empty, *(part.parts for part in found)])[order],
        np.concatenate(
            [np.empty((occlusion.COUNT, vectors, 0), dtype=np.float32), *(part.values for part in found)],
            axis=2,
        )[:, :, order],
    )


_NOTHING = Hits(
    ids=np.empty(0, dtype=np.int64),
    people=np.empty(0, dtype=np.int64),
    parts=np.empty(0, dtype=np.int64),
    scores=np.empty(0, dtype=np.float32),
)
