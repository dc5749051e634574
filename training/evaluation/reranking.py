"""k-reciprocal re-ranking, sparse and in blocks. No torch.

Zhong et al. 2017, "Re-ranking person re-identification with k-reciprocal encoding", over the queries and the
gallery together:

- N(p, k): the k nearest of p, and p itself (eq. 2); R(p, k): those of N(p, k) that have p in their own
  N(., k) (eq. 3).
- R*(p, k1): R(p, k1) and R(q, k1 / 2) for every q of R(p, k1) of whose R(q, k1 / 2) more than two thirds lie
  in R(p, k1) (eq. 4).
- V(p): exp(-d(p, q)) for q in R*(p, k1), else 0 (eq. 7); the mean of it over the k2 nearest of p, p among
  them (eq. 11, local query expansion).
- Jaccard distance of V(p) and V(q): one less the sum of minima over the sum of maxima (eq. 10).
- (1 - lambda) of the Jaccard distance and lambda of the original one (eq. 12).

Where the text leaves it open, this does as the authors' published program: d is the squared distance over
the greatest one from p; V(p) sums to 1; "more than two thirds" is strict; k1 / 2 is rounded half to even.

V has some hundred entries a row, and is kept as those. Of the distances only each row's nearest and greatest
are kept; the rest is computed again where needed. Memory grows with (Q + G) k1 k2, not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.distances import COSINE, KEPT, Distance, Rows, rows_at_once
from training.evaluation.nearest import nearest

__all__ = ["KReciprocal", "rerank"]

_ROWS = 512
"""Pictures whose neighbourhoods are compared at once."""


@dataclass(frozen=True, slots=True)
class KReciprocal:
    """The three parameters, with the paper's values for Market-1501.

    Attributes:
        k1: neighbours that may be reciprocal.
        k2: neighbours over which V is averaged; 1 for none.
        original: lambda, the original distance's share, 0 to 1.

    Raises:
        ValueError: one of them is out of range.
    """

    k1: int = 20
    k2: int = 6
    original: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1 or not 0 <= self.original <= 1:
            raise ValueError("k-reciprocal re-ranking needs k1 >= 1, k2 >= 1 and 0 <= lambda <= 1")


@dataclass(frozen=True, slots=True)
class _Sparse:
    """Rows of few entries: row i holds ``values[starts[i]:starts[i + 1]]`` at ``columns[...]``."""

    starts: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]

    def row(self, number: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        part = slice(self.starts[number], self.starts[number + 1])
        return self.columns[part], self.values[part]

    def entries(self, rows: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where the entries of some rows lie, one row after the other, and how many each row has."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        ends = np.cumsum(lengths)
        return np.repeat(self.starts[rows] - ends + lengths, lengths) + np.arange(lengths.sum()), lengths


class _Together:
    """Queries and then the gallery as one sequence of features, read where they lie."""

    ndim = 2

    def __init__(self, query: Rows, gallery: Rows):
        self._query, self._gallery = query, gallery
        self.shape = (len(query) + len(gallery), query.shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> npt.NDArray[np.float32]:
        chosen = np.arange(len(self))[rows]
        first = chosen < len(self._query)
        found = np.empty((len(chosen), self.shape[1]), dtype=np.float32)
        found[first] = self._query[chosen[first]]
        found[~first] = self._gallery[chosen[~first] - len(self._query)]
        return found


def rerank(
    query: Rows,
    gallery: Rows,
    parameters: KReciprocal,
    distance: Distance = COSINE,
    rows: int | None = None,
) -> Iterator[npt.NDArray[np.float32]]:
    """Re-ranked scores [b, G], minus the distance of eq. 12 and so 0 to -1, in blocks of queries, in order.

    Args:
        query, gallery: [Q, D] and [G, D]; either may be memory-mapped.
        distance: the original distance; the squared distance between unit features and the cosine's (one
            less the cosine) give the same.
        rows: queries in a block; None for as many as fit.
    """
    everything: Rows = _Together(query, gallery)
    if len(everything) * distance.length(query.shape[1]) <= KEPT:
        query, gallery = distance.prepare_all(query), distance.prepare_all(gallery)
        everything = np.concatenate([query, gallery])
        distance = distance.of_prepared
    neighbours, greatest = _neighbourhoods(everything, distance, max(parameters.k1 + 1, parameters.k2))
    encoded = _encode(everything, distance, neighbours, greatest, parameters.k1)
    if parameters.k2 > 1:
        encoded = _averaged(encoded, neighbours[:, : parameters.k2])
    holders = _transposed(encoded, len(query), len(everything))
    number = 0
    for block in distance.scores(query, gallery, rows):
        for scores in block:
            original = np.maximum(distance.of_equals - scores, 0) / greatest[number]
            columns, values = encoded.row(number)
            places, lengths = holders.entries(columns)
            least = np.minimum(np.repeat(values, lengths), holders.values[places])
            shared = np.bincount(holders.columns[places], least, len(gallery))
            jaccard = 1 - shared / (2 - shared)
            scores[:] = -(1 - parameters.original) * jaccard - parameters.original * original
            number += 1
        yield block


def _neighbourhoods(
    everything: Rows, distance: Distance, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The k nearest of each picture, itself among them, int64 [N, k], and its greatest distance, [N]."""
    neighbours, greatest = [], []
    step = min(rows_at_once(len(everything)), _ROWS)
    number = 0
    for block in distance.scores(everything, everything, step):
        farthest = distance.of_equals - block.min(axis=1)
        # of pictures alike there may be more than k: each leads its own, so that no R(p, k) is empty
        rows = np.arange(len(block))
        block[rows, number + rows] = np.inf
        number += len(block)
        neighbours.append(nearest(block, k))
        greatest.append(np.where(farthest > 0, farthest, 1).astype(np.float32))
    return np.concatenate(neighbours), np.concatenate(greatest)


def _encode(
    everything: Rows,
    distance: Distance,
    neighbours: npt.NDArray[np.int64],
    greatest: npt.NDArray[np.float32],
    k1: int,
) -> _Sparse:
    """V of every picture over R*(., k1), before local query expansion (eqs. 3, 4, 7)."""
    number, half = len(everything), int(np.around(k1 / 2)) + 1
    narrow, wide = neighbours[:, :half], neighbours[:, : k1 + 1]
    narrow_kept, wide_kept = _reciprocal(narrow), _reciprocal(wide)
    sizes = narrow_kept.sum(axis=1)
    starts, columns, values = [0], [], []
    for start in range(0, number, _ROWS):
        rows = np.arange(start, min(start + _ROWS, number))
        # [b, k1 + 1]: R(p, k1), -1 where a neighbour is not reciprocal.
        near = np.where(wide_kept[rows], wide[rows], -1)
        # [b, k1 + 1, half]: R(q, k1 / 2) of each q of R(p, k1), -2 where there is none.
        beyond = np.where(narrow_kept[near] & (near >= 0)[:, :, None], narrow[near], -2)
        shared = np.zeros(near.shape, np.int64)
        for place in range(near.shape[1]):
            shared += (beyond == near[:, place, None, None]).sum(axis=2)
        joins = (near >= 0) & (3 * shared > 2 * sizes[near])
        beyond = np.where(joins[:, :, None], beyond, -2).reshape(len(rows), -1)
        members = np.sort(np.concatenate([near, beyond], axis=1), axis=1)
        fresh = members >= 0
        fresh[:, 1:] &= members[:, 1:] != members[:, :-1]
        for row, picture in enumerate(rows):
            chosen = members[row, fresh[row]]
            own = distance.prepare(everything[picture : picture + 1])
            scores = distance.between(own, distance.prepare(everything[chosen]))[0]
            weights = np.exp((scores - distance.of_equals) / greatest[picture])
            starts.append(starts[-1] + len(chosen))
            columns.append(chosen.astype(np.int32))
            values.append((weights / weights.sum()).astype(np.float32))
    return _Sparse(np.array(starts), np.concatenate(columns), np.concatenate(values))


def _reciprocal(neighbours: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which of each picture's neighbours [N, k] have it among theirs, bool [N, k] (eq. 3)."""
    kept = np.empty(neighbours.shape, dtype=np.bool_)
    for start in range(0, len(neighbours), _ROWS):
        block = neighbours[start : start + _ROWS]
        pictures = np.arange(start, start + len(block))
        kept[start : start + _ROWS] = (neighbours[block] == pictures[:, None, None]).any(axis=2)
    return kept


def _averaged(encoded: _Sparse, neighbours: npt.NDArray[np.int64]) -> _Sparse:
    """The mean of V over each picture's k2 nearest (eq. 11)."""
    number, k2 = neighbours.shape
    starts, columns, values = [np.zeros(1, np.int64)], [], []
    for start in range(0, number, _ROWS):
        block = neighbours[start : start + _ROWS]
        places, lengths = encoded.entries(block.reshape(-1))
        rows = np.repeat(np.repeat(np.arange(len(block)), k2), lengths)
        keys, place = np.unique(rows * number + encoded.columns[places], return_inverse=True)
        columns.append((keys % number).astype(np.int32))
        values.append((np.bincount(place, encoded.values[places]) / k2).astype(np.float32))
        ends = np.searchsorted(keys, np.arange(1, len(block) + 1) * number)
        starts.append(starts[-1][-1] + ends)
    return _Sparse(np.concatenate(starts), np.concatenate(columns), np.concatenate(values))


def _transposed(encoded: _Sparse, first: int, number: int) -> _Sparse:
    """Of each column, which rows from ``first`` on hold it (numbered from there) and with what value."""
    skipped = encoded.starts[first]
    rows = np.repeat(np.arange(number - first, dtype=np.int32), np.diff(encoded.starts[first:]))
    columns = encoded.columns[skipped:]
    order = np.argsort(columns, kind="stable")
    starts = np.searchsorted(columns[order], np.arange(number + 1))
    return _Sparse(starts, rows[order], encoded.values[skipped:][order])
