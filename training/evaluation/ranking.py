"""Rank-k, the cumulative match curve and mAP under the camera rule. No torch.

Scores arrive in blocks of queries, so that the full matrix of a large gallery is never held. Among equal
scores the picture that comes first in the gallery ranks first, always. A query without any match left in
the gallery cannot be answered: it is left out of every figure, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Ranking", "Summary", "rank", "summarise", "top"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """How each query did.

    Attributes:
        first_match: int64 [Q], rank of the first match from 1; 0 where the query has no match to find.
        average_precision: float64 [Q], 0 to 1; 0 where the query has no match to find.
        gallery: pictures in the gallery.
    """

    first_match: npt.NDArray[np.int64]
    average_precision: npt.NDArray[np.float64]
    gallery: int

    def of(self, chosen: npt.NDArray[np.bool_]) -> Ranking:
        """The same for some of the queries: bool [Q]."""
        return Ranking(self.first_match[chosen], self.average_precision[chosen], self.gallery)


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a table's line.

    Attributes:
        rank1, rank5, rank10, map: percent, 0 to 100.
        queries: queries that count.
        gallery: pictures in the gallery.
        without_match: queries that were left out, since the gallery holds no match for them.
        cmc: float64 [k], percent of the queries with a match among the first 1, 2, ..., k.
    """

    rank1: float
    rank5: float
    rank10: float
    map: float
    queries: int
    gallery: int
    without_match: int
    cmc: npt.NDArray[np.float64]


def rank(
    blocks: Iterable[npt.NDArray[np.floating]],
    query_people: npt.ArrayLike,
    query_cameras: npt.ArrayLike,
    gallery_people: npt.ArrayLike,
    gallery_cameras: npt.ArrayLike,
    *,
    camera_rule: bool,
) -> Ranking:
    """Rank the gallery for every query.

    Average precision is the mean, over the query's matches, of the precision at each match's rank, as in
    Market-1501's own evaluation.

    Args:
        blocks: scores [b, G], higher is more alike, the blocks' rows together being the queries in order.
        query_people, query_cameras: int [Q].
        gallery_people, gallery_cameras: int [G].
        camera_rule: gallery pictures of the query's own person *and* camera are ignored.

    Raises:
        ValueError: shapes do not fit, or a score is not a number.
    """
    asked, asked_from = np.asarray(query_people), np.asarray(query_cameras)
    people, cameras = np.asarray(gallery_people), np.asarray(gallery_cameras)
    if asked.shape != asked_from.shape or people.shape != cameras.shape:
        raise ValueError("people and cameras must have one entry a picture each")
    firsts: list[npt.NDArray[np.int64]] = []
    precisions: list[npt.NDArray[np.float64]] = []
    done = 0
    for block in blocks:
        rows = slice(done, done + len(block))
        done += len(block)
        if block.ndim != 2 or block.shape[1] != len(people) or done > len(asked):
            raise ValueError(
                f"scores must be [{len(asked)}, {len(people)}] in blocks of rows; "
                f"got a block {list(block.shape)} ending at row {done}"
            )
        if np.isnan(block).any():
            raise ValueError(f"a score of queries {rows.start} to {done - 1} is not a number")
        same_person = asked[rows, None] == people[None, :]
        ignored = same_person & (asked_from[rows, None] == cameras[None, :]) & camera_rule
        first, precision = _rank_block(block, same_person & ~ignored, ignored)
        firsts.append(first)
        precisions.append(precision)
    if done != len(asked):
        raise ValueError(f"scores for {done} queries, expected {len(asked)}")
    return Ranking(
        np.concatenate(firsts) if firsts else np.zeros(0, np.int64),
        np.concatenate(precisions) if precisions else np.zeros(0, np.float64),
        len(people),
    )


def _rank_block(
    scores: npt.NDArray[np.floating], matches: npt.NDArray[np.bool_], ignored: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """First match's rank and average precision of each row of a block [b, G]."""
    order = np.argsort(-scores, axis=1, kind="stable")
    hit = np.take_along_axis(matches, order, axis=1)
    counted = np.cumsum(~np.take_along_axis(ignored, order, axis=1), axis=1)
    found = np.cumsum(hit, axis=1)
    total = hit.sum(axis=1)
    precision = np.where(hit, found / np.maximum(counted, 1), 0.0).sum(axis=1) / np.maximum(total, 1)
    first = np.where(hit & (found == 1), counted, 0).sum(axis=1)
    return first.astype(np.int64), precision.astype(np.float64)


def summarise(ranking: Ranking, depth: int = 10) -> Summary:
    """The figures over all queries that have a match; 0 for each where no query has.

    Args:
        depth: length of the cumulative match curve, at least 10.
    """
    if depth < 10:
        raise ValueError(f"depth must be at least 10, not {depth}")
    counted = ranking.first_match > 0
    number = int(counted.sum())
    firsts = ranking.first_match[counted]
    cmc = np.array([100.0 * np.count_nonzero(firsts <= k) / max(number, 1) for k in range(1, depth + 1)])
    mean = 100.0 * float(ranking.average_precision[counted].mean()) if number else 0.0
    return Summary(
        rank1=float(cmc[0]),
        rank5=float(cmc[4]),
        rank10=float(cmc[9]),
        map=mean,
        queries=number,
        gallery=ranking.gallery,
        without_match=len(ranking.first_match) - number,
        cmc=cmc,
    )


def top(blocks: Iterable[npt.NDArray[np.floating]], k: int) -> npt.NDArray[np.int64]:
    """First ``k`` gallery pictures of every query, int64 [Q, min(k, G)]; equal scores in gallery order."""
    rows = [np.argsort(-block, axis=1, kind="stable")[:, :k] for block in blocks]
    return np.concatenate(rows).astype(np.int64) if rows else np.zeros((0, k), np.int64)
