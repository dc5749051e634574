"""Fused unification: the query compared under all nine codes at once (``models/fusion.py``).

The cohort is the gallery: all its pictures, whatever a filter leaves, so that a score means the same in every
call on it. Several query pictures of one person: the score of i is the mean of their fused scores.

A gallery of up to :data:`CANDIDATES` pictures, or what a filter leaves of one, is scored whole. Of a larger
one the candidates are scored: those nearest to the query by a plain search of whole pictures, a hundredth of
the gallery, but no more than :data:`MOST` unless the query asks for more. So the cost is that of ``off``, and
of nine small searches among the candidates. What that leaves out, `penumbra-train unification` says
(training/evaluation/README.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models import fusion, occlusion
from service.index.protocol import Hits, PartSearch, VectorIndex
from service.matching.unification import merge

__all__ = ["CANDIDATES", "CODES", "MOST", "FusedHits", "FusedPicture", "fused_search", "pair_scores"]

CODES: Final = tuple(range(occlusion.COUNT))
"""The codes that a query picture must be embedded under."""

CANDIDATES: Final = 300
"""Fewest pictures that are scored."""

_SHARE: Final = 100
"""One picture of so many is scored."""

MOST: Final = 1000
"""Most pictures that are scored, unless more are asked for: a gallery of 100,000 reaches it."""


@dataclass(frozen=True, slots=True)
class FusedPicture:
    """One query picture.

    Attributes:
        embeddings: float32 [9, D], F(q, u).
        grades: float32 [4], the grader's scores; None without a grader.
    """

    embeddings: npt.NDArray[np.float32]
    grades: npt.NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class FusedHits:
    """Pictures found, and what each comparison went by.

    Attributes:
        hits: best first; equal scores in the order of their ids.
        leading: int64 [n, Q], the code that added most to the score, for each query picture.
    """

    hits: Hits
    leading: npt.NDArray[np.int64]

    def compared(self, row: int) -> str:
        """One hit's leading types, e.g. ``"bottom_half"``; of several query pictures joined by "+"."""
        return "+".join(occlusion.NAMES[code] for code in sorted(set(self.leading[row].tolist())))


def fused_search(
    index: VectorIndex,
    gallery: int,
    queries: Sequence[FusedPicture],
    k: int,
    among: npt.NDArray[np.int64] | None = None,
) -> FusedHits:
    """The k best pictures by the fused score, of all or of the candidates (see above).

    Args:
        queries: Q pictures of one person, at least one.
        k: most pictures to find, at least 1.
        among: int64 [n], ids of the pictures that are looked at, ascending; None: all.

    Raises:
        ValueError: no query picture.
    """
    if not queries:
        raise ValueError("at least one query picture is needed")
    asked = np.stack([query.embeddings for query in queries], axis=1)
    weights = _weights(queries)
    mean = index.cohort(gallery).mean()
    candidates = _candidates(index, gallery, asked[occlusion.NONE].mean(axis=0), k, among)
    found = index.products(gallery, np.concatenate([asked, mean[:, None]], axis=1), candidates)
    cosines = fusion.centred_cosines(
        found.values[:, :-1],
        np.einsum("uqd,ud->uq", asked, mean),
        found.values[:, -1],
        np.einsum("ud,ud->u", mean, mean),
    )
    scores = fusion.fuse(cosines, weights).mean(axis=0)
    best = np.lexsort((found.ids, -scores))[:k]
    hits = Hits(found.ids[best], found.people[best], found.parts[best], scores[best])
    return FusedHits(hits, fusion.leading_codes(cosines[:, :, best], weights).T)


def pair_scores(
    features: npt.NDArray[np.floating],
    grades: npt.NDArray[np.float32] | None,
    mean: npt.NDArray[np.float32],
) -> npt.NDArray[np.float64]:
    """The fused scores among pictures, the mean of both directions, since either may be the query.

    Args:
        features: [n, 9, D], F(i, u) of unit length.
        grades: float32 [n, 4], the grader's scores; None without a grader.
        mean: float32 [9, D], m_u of the cohort.

    Returns:
        float64 [n, n], symmetric.
    """
    vectors = np.asarray(features, np.float32).transpose(1, 0, 2)
    with_mean = np.einsum("und,ud->un", vectors, mean)
    cosines = fusion.centred_cosines(
        vectors @ vectors.transpose(0, 2, 1), with_mean, with_mean, np.einsum("ud,ud->u", mean, mean)
    )
    one_way = fusion.fuse(cosines, fusion.code_weights(grades, len(features))).astype(np.float64)
    return (one_way + one_way.T) / 2


def _weights(queries: Sequence[FusedPicture]) -> npt.NDArray[np.float64]:
    """w_u(q), float64 [Q, 9]; one model graded all of them, or none."""
    grades = [query.grades for query in queries if query.grades is not None]
    return fusion.code_weights(np.stack(grades) if grades else None, len(queries))


def _candidates(
    index: VectorIndex,
    gallery: int,
    whole: npt.NDArray[np.float32],
    k: int,
    among: npt.NDArray[np.int64] | None,
) -> npt.NDArray[np.int64] | None:
    """Ids of the pictures to score, ascending; None: all there are. ``whole``: the mean of F(q, 0), [D]."""
    parts = index.parts(gallery)
    looked_at = sum(parts.values()) if among is None else len(among)
    count = max(k, CANDIDATES, min(MOST, looked_at // _SHARE))
    if looked_at <= count:
        return among
    searches = [PartSearch(part, {occlusion.NONE: whole}, among) for part in parts]
    return np.sort(merge(index.search(gallery, searches, count), count).ids)
