"""Rank-k, the cumulative match curve, mAP and mINP, with the camera rule and without. No torch.

Scores arrive in blocks of queries, so that the full matrix of a large gallery is never held. Among equal
scores the picture that comes first in the gallery ranks first, always. A query without any match left in
the gallery cannot be answered: it is left out of every figure, and counted.

A match's rank is counted, not sorted for: one more than the gallery pictures that score higher, or as high
and come earlier. That needs the sorted scores of one row, never an order of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Ranking", "Summary", "in_order", "match_ranks", "rank", "summarise", "top"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """How each query did.

    Attributes:
        first_match: int64 [Q], rank of the first match from 1; 0 where the query has no match to find.
        average_precision: float64 [Q], 0 to 1; 0 where the query has no match to find.
        inverse_penalty: float64 [Q], 0 to 1, the query's matches over the rank of the last of them, which is
            what a person needs who wants to see every match (Ye et al. 2021, "Deep learning for person
            re-identification", INP = 1 - NP); 0 where the query has no match to find.
        gallery: pictures in the gallery.
    """

    first_match: npt.NDArray[np.int64]
    average_precision: npt.NDArray[np.float64]
    inverse_penalty: npt.NDArray[np.float64]
    gallery: int

    def of(self, chosen: npt.NDArray[np.bool_]) -> Ranking:
        """The same for some of the queries: bool [Q]."""
        return Ranking(
            self.first_match[chosen],
            self.average_precision[chosen],
            self.inverse_penalty[chosen],
            self.gallery,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a table's line.

    Attributes:
        rank1, rank5, rank10, rank20, map, minp: percent, 0 to 100.
        queries: queries that count.
        gallery: pictures in the gallery.
        without_match: queries that were left out, since the gallery holds no match for them.
        cmc: float64 [k], percent of the queries with a match among the first 1, 2, ..., k.
    """

    rank1: float
    rank5: float
    rank10: float
    rank20: float
    map: float
    minp: float
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
    matches_of, order = _pictures_by_person(people)
    first = np.zeros(len(asked), np.int64)
    precision, penalty = np.zeros(len(asked)), np.zeros(len(asked))
    for start, block in in_order(blocks, len(asked), len(people)):
        for row, scores in enumerate(block, start):
            own = order[matches_of(asked[row])]
            ignored = own[cameras[own] == asked_from[row]] if camera_rule else own[:0]
            matches = own[cameras[own] != asked_from[row]] if camera_rule else own
            if not len(matches):
                continue
            ranks = match_ranks(scores, matches, ignored)
            found = np.arange(1, len(ranks) + 1)
            first[row] = ranks[0]
            precision[row] = (found / ranks).mean()
            penalty[row] = len(ranks) / ranks[-1]
    return Ranking(first, precision, penalty, len(people))


def in_order(
    blocks: Iterable[npt.NDArray[np.floating]], queries: int, gallery: int
) -> Iterator[tuple[int, npt.NDArray[np.floating]]]:
    """Each block of scores with the number of its first query, checked.

    Raises:
        ValueError: the blocks' rows together are not ``queries``, a row is not ``gallery`` long, or a score
            is not a number.
    """
    done = 0
    for block in blocks:
        start, done = done, done + len(block)
        if block.ndim != 2 or block.shape[1] != gallery or done > queries:
            raise ValueError(
                f"scores must be [{queries}, {gallery}] in blocks of rows; "
                f"got a block {list(block.shape)} ending at row {done}"
            )
        # A sum is not a number where any of its terms is not, and needs no array of its own; opposite
        # infinities make one as well, so that only then each score is looked at.
        with np.errstate(invalid="ignore"):
            suspicious = np.isnan(block.sum())
        if suspicious and np.isnan(block).any():
            raise ValueError(f"a score of queries {start} to {done - 1} is not a number")
        yield start, block
    if done != queries:
        raise ValueError(f"scores for {done} queries, expected {queries}")


def _pictures_by_person(
    people: npt.NDArray[np.int64],
) -> tuple[Callable[[int], slice], npt.NDArray[np.int64]]:
    """Where a person's pictures stand in the returned order, int64 [G]; each person's in gallery order."""
    order = np.argsort(people, kind="stable").astype(np.int64)
    ordered = people[order]

    def of(person: int) -> slice:
        return slice(*(int(np.searchsorted(ordered, person, side)) for side in ("left", "right")))

    return of, order


def match_ranks(
    scores: npt.NDArray[np.floating], matches: npt.NDArray[np.int64], ignored: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Rank from 1 of each match among the scores that are not ignored, ascending, int64 [m].

    Args:
        scores: [G].
        matches, ignored: int64 [m] and [i], places in ``scores``; none is in both.
    """
    ordered = np.sort(np.delete(scores, ignored) if len(ignored) else scores)
    matches = matches[np.argsort(-scores[matches], kind="stable")]
    values = scores[matches]
    above = len(ordered) - np.searchsorted(ordered, values, "right")
    equal = len(ordered) - above - np.searchsorted(ordered, values, "left")
    ranks = above + 1
    for place in np.flatnonzero(equal > 1):
        earlier = np.count_nonzero(scores[: matches[place]] == values[place])
        dropped = (scores[ignored] == values[place]) & (ignored < matches[place])
        ranks[place] += earlier - np.count_nonzero(dropped)
    return ranks.astype(np.int64)


def summarise(ranking: Ranking, depth: int = 20) -> Summary:
    """The figures over all queries that have a match; 0 for each where no query has.

    Args:
        depth: length of the cumulative match curve, at least 20.
    """
    if depth < 20:
        raise ValueError(f"depth must be at least 20, not {depth}")
    counted = ranking.first_match > 0
    number = int(counted.sum())
    firsts = ranking.first_match[counted]
    cmc = np.array([100.0 * np.count_nonzero(firsts <= k) / max(number, 1) for k in range(1, depth + 1)])
    precision, penalty = (
        100.0 * float(values[counted].mean()) if number else 0.0
        for values in (ranking.average_precision, ranking.inverse_penalty)
    )
    return Summary(
        rank1=float(cmc[0]),
        rank5=float(cmc[4]),
        rank10=float(cmc[9]),
        rank20=float(cmc[19]),
        map=precision,
        minp=penalty,
        queries=number,
        gallery=ranking.gallery,
        without_match=len(ranking.first_match) - number,
        cmc=cmc,
    )


def top(blocks: Iterable[npt.NDArray[np.floating]], k: int) -> npt.NDArray[np.int64]:
    """First ``k`` gallery pictures of every query, int64 [Q, min(k, G)]; equal scores in gallery order."""
    rows = [np.argsort(-block, axis=1, kind="stable")[:, :k] for block in blocks]
    return np.concatenate(rows).astype(np.int64) if rows else np.zeros((0, k), np.int64)
