"""The first k of every row of scores, without sorting the rest. No torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["nearest"]


def nearest(scores: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.int64]:
    """Columns of the ``min(k, n)`` highest scores of each row, best first, equal scores in column order.

    Args:
        scores: [b, n], no NaN.
        k: at least 1.

    Returns:
        int64 [b, min(k, n)].
    """
    k = min(k, scores.shape[1])
    if k == scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable").astype(np.int64)
    least = np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k]
    rows, columns = np.nonzero(scores >= least[:, None])
    # Rows with ties at the last place have more than k: sorted by score they are cut to k below.
    order = np.lexsort((columns, -scores[rows, columns], rows))
    starts = np.searchsorted(rows, np.arange(len(scores)))
    return columns[order][starts[:, None] + np.arange(k)].astype(np.int64)
