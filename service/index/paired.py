"""Two indexes of the same galleries, with the features of two models: what leaves one leaves the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.fusion import Cohort
from service.index.protocol import Entries, Hits, IndexKind, PartSearch, Products, VectorIndex

__all__ = ["PairedIndex"]


class PairedIndex:
    """Implements :class:`service.index.protocol.VectorIndex`: the first index, and a second that follows.

    Pictures are added to each by itself, since each takes the features of its own model.

    Args:
        first: is added to and searched.
        second: what is removed from the first, given to another person or dropped is so here too.
    """

    def __init__(self, first: VectorIndex, second: VectorIndex) -> None:
        self._first = first
        self._second = second

    def add(self, gallery: int, entries: Entries) -> None:
        """Add pictures to the first."""
        self._first.add(gallery, entries)

    def behind(self, gallery: int) -> bool:
        """Whether either is."""
        return self._first.behind(gallery) or self._second.behind(gallery)

    def catch_up(self, gallery: int) -> None:
        """Wait for both."""
        self._first.catch_up(gallery)
        self._second.catch_up(gallery)

    def remove(self, gallery: int, ids: Sequence[int]) -> None:
        """Remove pictures from both."""
        self._first.remove(gallery, ids)
        self._second.remove(gallery, ids)

    def assign(self, gallery: int, ids: Sequence[int], person: int) -> None:
        """Say in both of pictures that they show another person."""
        self._first.assign(gallery, ids, person)
        self._second.assign(gallery, ids, person)

    def drop(self, gallery: int) -> None:
        """Remove a gallery from both."""
        self._first.drop(gallery)
        self._second.drop(gallery)

    def keep(self, gallery: int, kind: IndexKind) -> bool:
        """Keep both so; the answer is the first's, since the second goes when the first is whole."""
        self._second.keep(gallery, kind)
        return self._first.keep(gallery, kind)

    def parts(self, gallery: int) -> dict[int, int]:
        """The first's parts."""
        return self._first.parts(gallery)

    def search(self, gallery: int, searches: Sequence[PartSearch], k: int) -> list[Hits]:
        """Search the first."""
        return self._first.search(gallery, searches, k)

    def cohort(self, gallery: int) -> Cohort:
        """The first's cohort."""
        return self._first.cohort(gallery)

    def products(
        self, gallery: int, vectors: npt.NDArray[np.float32], among: npt.NDArray[np.int64] | None = None
    ) -> Products:
        """The first's inner products."""
        return self._first.products(gallery, vectors, among)
