"""The index: derived from the catalog, kept as parts, answering inner-product searches.

A gallery's pictures lie in *parts* by their graded code c(i); within a part every picture has nine
vectors F(i, u), one per occlusion code u. A search names one part and what is to be summed there:
score(i) = Σ_u v_u · F(i, u). With one term that is plain nearest-neighbour search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from models.fusion import Cohort

IndexKind: TypeAlias = Literal["auto", "flat", "clustered"]
"""How a gallery's pictures are kept. flat: every search is exact; clustered: in less memory and time, most of
the best are found; auto: as the index is set for all galleries."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Pictures to be added. All arrays have the same length N.

    Attributes:
        ids: int64 [N], the catalog's image numbers; never used again once removed.
        people: int64 [N], the catalog's person numbers.
        occlusions: int64 [N], graded codes c(i), 0 to 8: the part each belongs to.
        features: float16 [N, 9, D], F(i, u) of unit length.
    """

    ids: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]
    occlusions: npt.NDArray[np.int64]
    features: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class PartSearch:
    """One search in one part: score(i) = Σ_u terms[u] · F(i, u).

    Attributes:
        part: c(i) of the pictures searched, 0 to 8.
        terms: code u -> float32 [D]; at least one.
        among: int64 [n], ids of the pictures that are looked at, ascending; None: all. Where they are few,
            the search is exact.
    """

    part: int
    terms: Mapping[int, npt.NDArray[np.float32]]
    among: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Hits:
    """Pictures found, best first. All arrays have the same length.

    Attributes:
        ids: int64 [n], image numbers.
        people: int64 [n], person numbers.
        parts: int64 [n], c(i) of each.
        scores: float32 [n], -1 to 1 for unit vectors.
    """

    ids: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]
    parts: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Products:
    """Pictures with their inner products under every code.

    Attributes:
        ids: int64 [n], image numbers, ascending.
        people: int64 [n], person numbers.
        parts: int64 [n], c(i) of each.
        values: float32 [9, m, n], the inner product of each vector asked with F(i, u).
    """

    ids: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]
    parts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]


class VectorIndex(Protocol):
    """What the service asks of an index. Safe to call from several threads at once.

    A search sees every update either whole or not at all; once an update has returned, every later
    search sees it. An unknown gallery is an empty one: the catalog knows which galleries there are.
    """

    def add(self, gallery: int, entries: Entries) -> None:
        """Add pictures. One whose id is there already replaces what was stored of it."""

    def behind(self, gallery: int) -> bool:
        """Whether so much of a gallery waits to be put in order that adding more should pause a moment."""

    def catch_up(self, gallery: int) -> None:
        """Wait, maybe for minutes, until it is no longer behind. For those whom nobody waits for."""

    def remove(self, gallery: int, ids: Sequence[int]) -> None:
        """Remove pictures; ids that are not there are passed over."""

    def assign(self, gallery: int, ids: Sequence[int], person: int) -> None:
        """Say of pictures that they show another person; ids that are not there are passed over."""

    def drop(self, gallery: int) -> None:
        """Remove a gallery with all its pictures."""

    def keep(self, gallery: int, kind: IndexKind) -> bool:
        """Keep a gallery's pictures in this way from here on; unless said, or once it is dropped, it is auto.

        Returns:
            Whether pictures that are there stay as they are until they are added again.
        """

    def parts(self, gallery: int) -> dict[int, int]:
        """The non-empty parts: c(i) -> number of pictures, in order of c(i)."""

    def search(self, gallery: int, searches: Sequence[PartSearch], k: int) -> list[Hits]:
        """The k best pictures of each search; fewer where the part holds fewer.

        Exact, unless the index searches by clusters where the part is large: then most of the k best.

        All searches of one call see the same moment of the gallery.

        Raises:
            ValueError: k is below 1, or a vector's length is not the index's.
        """

    def cohort(self, gallery: int) -> Cohort:
        """The sum of the features of all pictures, and how many they are."""

    def products(
        self, gallery: int, vectors: npt.NDArray[np.float32], among: npt.NDArray[np.int64] | None = None
    ) -> Products:
        """Inner products of some pictures with some vectors under every code.

        Args:
            vectors: float32 [9, m, D], m vectors for each code.
            among: int64 [n], ids, ascending; those that are not there are passed over. None: all pictures.

        Raises:
            ValueError: the vectors are not [9, m, D].
        """
