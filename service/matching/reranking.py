"""k-reciprocal re-ranking of a query's best candidates (Zhong et al. 2017, CVPR).

As ``training/evaluation/reranking.py`` defines it, with whole matrices instead of sparse rows, because only
the query and its :data:`CANDIDATES` best pictures take part:

- R(p, k): those of the k nearest of p, p among them, that have p among their own (eqs. 2 and 3).
- R*(p, k1): R(p, k1), and R(q, k1 / 2) of each q in it where more than two thirds of that lie in R(p, k1)
  (eq. 4).
- V(p): exp(-d(p, q)) for q in R*(p, k1), else 0, sum 1 (eq. 7); its mean over the k2 nearest of p (eq. 11).
- The distance is (1 - lambda) of the Jaccard distance of V(p) and V(q) (eq. 10), and lambda of d (eq. 12).

d is one less the score, over the greatest one from p. What the scores are is the caller's: between query and
picture those of the search, among pictures those that the same ``unify`` gives (:func:`unified_scores`;
``service/matching/fused.py`` for ``fuse``). k1, k2 and lambda are the paper's for Market-1501.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["CANDIDATES", "reranked_distances", "unified_scores"]

CANDIDATES: Final = 100
"""Most pictures that are put in a new order; what ranks behind them stays where it is."""

K1: Final = 20
K2: Final = 6
LAMBDA: Final = 0.3

Matrix = npt.NDArray[np.float64]


def reranked_distances(
    query: npt.NDArray[np.floating],
    gallery: npt.NDArray[np.floating],
    k1: int = K1,
    k2: int = K2,
    original: float = LAMBDA,
) -> Matrix:
    """The distances of eq. 12 from one query, by which its candidates are ordered.

    Args:
        query: [n], scores of the candidates, at most 1.
        gallery: [n, n], scores among the candidates, symmetric.
        k1, k2: neighbours that may be reciprocal; neighbours over which V is averaged, the first among them.
        original: lambda, 0 to 1.

    Returns:
        float64 [n], 0 to 1.
    """
    number = len(query) + 1
    distance = np.zeros((number, number))
    distance[0, 1:] = distance[1:, 0] = 1 - np.asarray(query, np.float64)
    distance[1:, 1:] = 1 - np.asarray(gallery, np.float64)
    np.fill_diagonal(distance, 0)
    distance = np.maximum(distance, 0)  # scores of float16 features may pass 1 by their rounding
    greatest = distance.max(axis=1, keepdims=True)
    distance /= np.where(greatest > 0, greatest, 1)
    # of pictures alike there may be more than k, all at 0: each leads its own, so that no R(p, k) is empty
    order = distance.copy()
    np.fill_diagonal(order, -1)
    nearest = np.argsort(order, axis=1, kind="stable")

    near, half = _reciprocal(nearest, k1), _reciprocal(nearest, int(np.around(k1 / 2)))
    shared = near.astype(np.int64) @ half.T.astype(np.int64)
    joins = near & (3 * shared > 2 * half.sum(axis=1))
    members = near | ((joins.astype(np.int64) @ half.astype(np.int64)) > 0)
    weights = np.where(members, np.exp(-distance), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    weights = weights[nearest[:, :k2]].mean(axis=1)

    least = np.minimum(weights[0], weights[1:]).sum(axis=1)
    jaccard = 1 - least / (2 - least)
    reranked: Matrix = (1 - original) * jaccard + original * distance[0, 1:]
    return reranked


def unified_scores(features: npt.NDArray[np.floating], codes: npt.NDArray[np.integer]) -> Matrix:
    """cos(F(i, c(j)), F(j, c(i))) of all pairs of pictures: each hidden where the other is.

    Args:
        features: [n, 9, D], F(i, u) of unit length.
        codes: [n], c(i); all 0 compares whole pictures.

    Returns:
        float64 [n, n], symmetric.
    """
    vectors = np.asarray(features, np.float32)
    scores = np.empty((len(vectors), len(vectors)))
    parts = [(int(code), np.flatnonzero(codes == code)) for code in np.unique(codes)]
    for code, rows in parts:
        for other, columns in parts:
            scores[np.ix_(rows, columns)] = vectors[rows, other] @ vectors[columns, code].T
    return scores


def _reciprocal(nearest: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.bool_]:
    """Which q are in R(p, k): bool [N, N], row p."""
    among = np.zeros(nearest.shape, dtype=np.bool_)
    np.put_along_axis(among, nearest[:, : k + 1], True, axis=1)
    return among & among.T
