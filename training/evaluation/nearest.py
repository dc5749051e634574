"""The first k of every row of scores, without sorting the rest. No torch."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["nearest"]

_SHARE: Final = 64
"""Columns of which the best alone is looked at first."""


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
    rows, columns = _candidates(scores, k)
    # Rows have more than k where the bound is low or ties stand at it: sorted by score they are cut to k.
    order = np.lexsort((columns, -scores[rows, columns], rows))
    starts = np.searchsorted(rows[order], np.arange(len(scores)))
    return columns[order][starts[:, None] + np.arange(k)].astype(np.int64)


def _candidates(
    scores: npt.NDArray[np.floating], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of at least the k highest scores of each row, all ties at the least of them included.

    The columns are dealt to groups. The k-th highest of the groups' best scores is reached in k groups, so
    no score below it is among the k highest; and only few groups reach it.
    """
    number = scores.shape[1]
    groups = number // _SHARE
    if groups < 2 * k:
        least = np.partition(scores, number - k, axis=1)[:, number - k]
        rows, columns = np.nonzero(scores >= least[:, None])
        return rows.astype(np.int64), columns.astype(np.int64)
    best = scores[:, :groups].copy()
    for first in range(groups, _SHARE * groups, groups):
        np.maximum(best, scores[:, first : first + groups], out=best)
    rest = scores[:, _SHARE * groups :]
    # What is left over, fewer than a share, counts as groups of one.
    bound = np.partition(np.concatenate([best, rest], axis=1), -k, axis=1)[:, -k]
    rows, group = np.nonzero(best >= bound[:, None])
    members = group[:, None] + groups * np.arange(_SHARE)
    hit, place = np.nonzero(scores[rows[:, None], members] >= bound[rows, None])
    more_rows, more = np.nonzero(rest >= bound[:, None])
    return (
        np.concatenate([rows[hit], more_rows]),
        np.concatenate([members[hit, place], more + _SHARE * groups]),
    )
