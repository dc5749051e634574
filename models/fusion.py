"""The fused score: two pictures compared under every occlusion code at once (design: "Fused unification").

No type is chosen. With F(x, u) the embedding of x with the rectangle of code u hidden, the query is compared
under each code, each code's scores are made comparable by a cohort of strangers, and all are fused::

    c_u(q, i) = cos( F(q, u) - m_u, F(i, u) - m_u )
    score(q, i) = T · ln Σ_u w_u(q) · exp( c_u(q, i) / T ),      Σ_u w_u(q) = 1

m_u is the cohort's mean of F(·, u). Taking it off both sides is the symmetric score normalisation of speaker
verification with one spread for all directions: how alike q is to strangers under u, and how alike i is, no
longer count. What one hidden rectangle does to every picture in the same way goes with it; the scores of
half-hidden pictures, which are alike for that reason alone, come down to where those of whole ones are.

The cohort is the gallery itself. Its sum and its size say all that is needed, so it costs nothing to keep,
needs nothing of the bundle, and does not depend on the order of enrolment. While there are few pictures the
mean is drawn to zero, as if :data:`PRIOR` more with mean zero were in the cohort: a gallery of one is then
compared by plain cosines, nearly.

The weights come from the grader's four scores; without a grader a code weighs the less, the more it hides.
The score is a weighted soft maximum of cosines, so it lies between -1 and 1 too.

Both halves compute it here: training offline, the service on the pictures that it looks at closely. The
constants were chosen by ``penumbra-train unification`` on market1501-val-occluded
(training/evaluation/README.md). No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion

__all__ = [
    "FLOOR",
    "PRIOR",
    "SHARPNESS",
    "TEMPERATURE",
    "UNGRADED",
    "Cohort",
    "centred_cosines",
    "code_weights",
    "fuse",
    "fused_scores",
    "leading_codes",
]

TEMPERATURE: Final = 0.2
"""T: towards 0 the best code alone counts, towards infinity the codes' mean."""

SHARPNESS: Final = 2.0
"""How much the grader's scores count: 0 weighs all codes alike."""

FLOOR: Final = 0.01
"""Share of the weight that is spread over all codes, so that none is ruled out."""

PRIOR: Final = 16
"""Pictures with mean zero that stand in the cohort beside the gallery's."""


def _expected_grades() -> npt.NDArray[np.float64]:
    """What a perfect grader answers for each code, [9, 4]; see ``models.occlusion``."""
    places = len(occlusion.PLACES)
    expected = np.full((occlusion.COUNT, places), 1 / places)
    for kind in occlusion.TYPES[1:]:
        largest = 0.625 if kind.area == 0.25 else 1.0
        expected[kind.code] = (1 - largest) / (places - 1)
        expected[kind.code, occlusion.PLACES.index(str(kind.place))] = largest
    return expected


_EXPECTED: Final = _expected_grades()

_SHARES: Final = np.array([{0.0: 4.0, 0.25: 2.0, 0.5: 1.0}[kind.area] for kind in occlusion.TYPES])

UNGRADED: Final[npt.NDArray[np.float64]] = _SHARES / _SHARES.sum()
"""Weights [9] without a grader: each quarter half of the whole picture's, each half a quarter of it."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Strangers that scores are held against: the pictures of a gallery.

    Attributes:
        total: float64 [9, D], the sum of F(i, u) over the pictures.
        count: how many there are.
    """

    total: npt.NDArray[np.float64]
    count: int

    @classmethod
    def of(cls, features: npt.NDArray[np.floating]) -> Cohort:
        """The cohort of features [n, 9, D]."""
        return cls(features.sum(axis=0, dtype=np.float64), len(features))

    def mean(self, prior: float = PRIOR) -> npt.NDArray[np.float32]:
        """m_u, float32 [9, D], drawn to zero by ``prior`` pictures; zero where there are none at all."""
        return (self.total / max(self.count + prior, 1)).astype(np.float32)


def code_weights(
    grades: npt.NDArray[np.floating] | None, count: int, sharpness: float = SHARPNESS
) -> npt.NDArray[np.float64]:
    """How much each code counts for each query, w_u(q).

    The nearer the four scores are to what a perfect grader would answer for a code, the more it counts:
    proportional to exp(-sharpness · squared distance), with :data:`FLOOR` spread evenly.

    Args:
        grades: [count, 4], the grader's scores; None without a grader: :data:`UNGRADED`.

    Returns:
        float64 [count, 9], positive, rows sum to one.
    """
    if grades is None:
        return np.tile(UNGRADED, (count, 1))
    distances = ((np.asarray(grades, np.float64)[:, None] - _EXPECTED) ** 2).sum(axis=2)
    weights = np.exp(-sharpness * distances)
    weights /= weights.sum(axis=1, keepdims=True)
    mixed: npt.NDArray[np.float64] = (1 - FLOOR) * weights + FLOOR / occlusion.COUNT
    return mixed


def centred_cosines(
    cosines: npt.NDArray[np.floating],
    query_mean: npt.NDArray[np.floating],
    gallery_mean: npt.NDArray[np.floating],
    mean_mean: npt.NDArray[np.floating],
) -> npt.NDArray[np.float32]:
    """c_u(q, i) from inner products alone.

    Args:
        cosines: [9, Q, G], F(q, u) · F(i, u), all of unit length.
        query_mean: [9, Q], F(q, u) · m_u.
        gallery_mean: [9, G], F(i, u) · m_u.
        mean_mean: [9], m_u · m_u.

    Returns:
        float32 [9, Q, G], -1 to 1; 0 where one of the two is the mean itself.
    """
    square = np.asarray(mean_mean, np.float32)[:, None]
    query, gallery = np.asarray(query_mean, np.float32), np.asarray(gallery_mean, np.float32)
    centred = np.asarray(cosines, np.float32) - (query - square)[:, :, None]
    centred -= gallery[:, None, :]
    centred *= _inverse_length(query, square)[:, :, None]
    centred *= _inverse_length(gallery, square)[:, None, :]
    np.minimum(centred, 1, out=centred)
    return np.maximum(centred, -1, out=centred)  # quicker than np.clip where there are few


def _inverse_length(
    with_mean: npt.NDArray[np.float32], square: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """1 / |x - m| of unit vectors x, from x · m and m · m; 0 where x is the mean itself."""
    squared = 1 - 2 * with_mean + square
    inverse: npt.NDArray[np.float32] = 1 / np.sqrt(np.maximum(squared, 1e-6))
    inverse[squared <= 1e-6] = 0
    return inverse


def fuse(
    cosines: npt.NDArray[np.floating],
    weights: npt.NDArray[np.floating],
    temperature: float = TEMPERATURE,
) -> npt.NDArray[np.float32]:
    """The weighted soft maximum over codes: T · ln Σ_u w_u exp(c_u / T).

    Args:
        cosines: [9, Q, G], c_u(q, i).
        weights: [Q, 9], positive, rows sum to one.
        temperature: T, positive; of the size of the differences between the cosines.

    Returns:
        float32 [Q, G], between the least and the largest cosine of each pair.
    """
    largest = cosines.max(axis=0)
    terms = np.asarray(cosines - largest, np.float32)
    terms *= np.float32(1 / temperature)
    np.exp(terms, out=terms)
    terms *= weights.T.astype(np.float32)[:, :, None]
    fused: npt.NDArray[np.float32] = (largest + temperature * np.log(terms.sum(axis=0))).astype(np.float32)
    return fused


def leading_codes(
    cosines: npt.NDArray[np.floating],
    weights: npt.NDArray[np.floating],
    temperature: float = TEMPERATURE,
) -> npt.NDArray[np.int64]:
    """The code that adds most to each pair's score; among equals the smallest.

    Args:
        cosines, weights, temperature: as for :func:`fuse`.

    Returns:
        int64 [Q, G].
    """
    terms = cosines / temperature + np.log(weights).T[:, :, None]
    leading: npt.NDArray[np.int64] = terms.argmax(axis=0)
    return leading


def fused_scores(
    query: npt.NDArray[np.floating],
    gallery: npt.NDArray[np.floating],
    mean: npt.NDArray[np.float32],
    weights: npt.NDArray[np.floating],
) -> npt.NDArray[np.float32]:
    """Fused scores from features.

    Args:
        query: [Q, 9, D], F(q, u) of unit length.
        gallery: [G, 9, D], F(i, u) of unit length.
        mean: [9, D], m_u.
        weights: [Q, 9], w_u(q).

    Returns:
        float32 [Q, G], -1 to 1.
    """
    asked, answers = query.transpose(1, 0, 2), gallery.transpose(1, 2, 0)
    centred = centred_cosines(
        asked @ answers,
        np.einsum("uqd,ud->uq", asked, mean),
        np.einsum("udg,ud->ug", answers, mean),
        np.einsum("ud,ud->u", mean, mean),
    )
    return fuse(centred, weights)
