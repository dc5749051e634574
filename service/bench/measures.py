"""Rank-k and mAP of rank lists that a service answered.

The service cannot import the training code, which has the same measures over score matrices; that the two
agree is what `penumbra bench accuracy` checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Candidate", "Figures", "Outcome", "figures", "judge"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One gallery picture in a rank list.

    Attributes:
        position: its place in the gallery's own order, from 0.
        score: higher is more alike.
        person, camera: whom it shows, from where.
    """

    position: int
    score: float
    person: int
    camera: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one query did: rank of its first match, from 1, and average precision, 0 to 1."""

    first_match: int
    average_precision: float


@dataclass(frozen=True, slots=True)
class Figures:
    """A table's line: percent, and the number of queries that count."""

    rank1: float
    rank5: float
    rank10: float
    map: float
    queries: int


def judge(candidates: Sequence[Candidate], person: int, camera: int, *, camera_rule: bool) -> Outcome | None:
    """How a query did, or None where the gallery holds no match for it to find.

    Equal scores rank in the gallery's own order, as in the offline evaluation. Average precision is the
    mean, over the matches, of the precision at each match's rank (Market-1501's).

    Args:
        candidates: the whole gallery, scored.
        person, camera: the query's.
        camera_rule: gallery pictures of the query's own person *and* camera are ignored.
    """
    rank = found = first = 0
    precision = 0.0
    for candidate in sorted(candidates, key=lambda one: (-one.score, one.position)):
        if camera_rule and (candidate.person, candidate.camera) == (person, camera):
            continue
        rank += 1
        if candidate.person == person:
            found += 1
            first = first or rank
            precision += found / rank
    return Outcome(first, precision / found) if found else None


def figures(outcomes: Iterable[Outcome | None]) -> Figures:
    """The figures over all queries that have a match to find; 0 for each where no query has."""
    counted = [outcome for outcome in outcomes if outcome is not None]
    number = max(len(counted), 1)

    def within(rank: int) -> float:
        return 100.0 * sum(outcome.first_match <= rank for outcome in counted) / number

    mean = 100.0 * sum(outcome.average_precision for outcome in counted) / number
    return Figures(within(1), within(5), within(10), mean, len(counted))
