"""Unification: each picture is hidden where the other is hidden (OAMN §3.4, "occlude them all").

With c(x) the graded code of picture x and F(x, u) its embedding with the rectangle of code u hidden::

    score(q, i) = cos( F(q, c(i)), F(i, c(q)) )

The paper hides the gallery where the query is hidden; the mirror, hiding the query where a gallery
picture is hidden, is this project's, for galleries that are themselves occluded. The picture's own
rectangle is not hidden once more: the paper is silent there.

Several query pictures q_1 … q_Q of one person: the score of i is the mean of score(q_j, i). Cosines of
unit vectors are inner products, and those are linear, so the mean over query pictures of the same code
is one inner product with their mean vector.

Everything here is a pure function.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion
from service.index.protocol import Hits, PartSearch

AUTO: Final = "auto"
"""The query's occlusion is what the grader says."""

OFF: Final = "off"
"""F(q, 0) against F(i, 0), whatever is graded."""

FUSE: Final = "fuse"
"""All codes at once, see ``service/matching/fused.py``; nothing else in this file is about it."""

PAIR_CHOICES: Final = (AUTO, OFF, *occlusion.NAMES)
"""Accepted values of ``unify`` for two pictures; by a type's name the caller states the query's occlusion."""

CHOICES: Final = (*PAIR_CHOICES[:2], FUSE, *occlusion.NAMES)
"""Accepted values of ``unify`` where there is a gallery."""


@dataclass(frozen=True, slots=True)
class QueryPicture:
    """One query picture, ready to be compared.

    Attributes:
        occlusion: c(q) as it counts for this query (:func:`query_occlusion`).
        embeddings: code u -> F(q, u), float32 [D]; holds :func:`query_codes`.
    """

    occlusion: int
    embeddings: Mapping[int, npt.NDArray[np.float32]]


def query_occlusion(unify: str, graded: int) -> int:
    """The code c(q) that counts: graded, stated by the caller, or 0 where unification is off.

    Raises:
        ValueError: ``unify`` is none of :data:`PAIR_CHOICES`.
    """
    if unify == AUTO:
        return graded
    if unify == OFF:
        return occlusion.NONE
    return occlusion.code_of(unify)


def query_codes(unify: str, parts: Collection[int]) -> tuple[int, ...]:
    """The codes u for which F(q, u) is needed against a gallery with these non-empty parts, ascending."""
    return (occlusion.NONE,) if unify == OFF else tuple(sorted(parts))


def plan(
    unify: str,
    queries: Sequence[QueryPicture],
    parts: Iterable[int],
    among: npt.NDArray[np.int64] | None = None,
) -> tuple[PartSearch, ...]:
    """The searches that together give every gallery picture its score.

    One per non-empty part c: in the indexes of the codes c(q_j), with the sums of F(q_j, c) / Q.

    Args:
        unify: one of :data:`PAIR_CHOICES`.
        queries: Q pictures of one person, at least one.
        parts: the gallery's non-empty parts.
        among: int64 [n], ids of the pictures that are looked at; None: all.

    Raises:
        ValueError: no query picture.
    """
    if not queries:
        raise ValueError("at least one query picture is needed")
    searches = []
    for part in parts:
        query_code = occlusion.NONE if unify == OFF else part
        terms: dict[int, npt.NDArray[np.float32]] = {}
        for query in queries:
            vector = query.embeddings[query_code] / np.float32(len(queries))
            before = terms.get(query.occlusion)
            terms[query.occlusion] = vector if before is None else before + vector
        searches.append(PartSearch(part, terms, among))
    return tuple(searches)


def hidden_on_both_sides(unify: str, query_occlusions: Iterable[int], part: int) -> str:
    """The types hidden when a query met a picture of this part, e.g. ``"bottom_half+left_quarter"``.

    Names in the order of their codes, joined by "+"; ``"none"`` where nothing was hidden.
    """
    hidden = set() if unify == OFF else {part, *query_occlusions} - {occlusion.NONE}
    return "+".join(occlusion.NAMES[code] for code in sorted(hidden)) or occlusion.NAMES[occlusion.NONE]


def merge(hits: Sequence[Hits], k: int) -> Hits:
    """The k best over all parts, best first; equal scores in the order of their ids.

    Exact if every part gave its own k best.
    """
    if not hits:
        empty = np.empty(0, dtype=np.int64)
        return Hits(empty, empty, empty, np.empty(0, dtype=np.float32))
    ids = np.concatenate([part.ids for part in hits])
    scores = np.concatenate([part.scores for part in hits])
    order = np.lexsort((ids, -scores))[:k]
    return Hits(
        ids=ids[order],
        people=np.concatenate([part.people for part in hits])[order],
        parts=np.concatenate([part.parts for part in hits])[order],
        scores=scores[order],
    )


def best_per_person(hits: Hits) -> Hits:
    """Each person's best picture, in the order of ``hits`` (which are best first)."""
    _, first = np.unique(hits.people, return_index=True)
    return select(hits, np.sort(first))


def best_of_each(hits: Hits, people: npt.NDArray[np.int64], count: int) -> list[list[int]]:
    """Of each of these persons the rows of up to ``count`` pictures, in the order of ``hits``, best first."""
    by_person = np.argsort(hits.people, kind="stable")
    sorted_people = hits.people[by_person]
    first, end = (np.searchsorted(sorted_people, people, side) for side in ("left", "right"))
    return [
        by_person[start : min(stop, start + count)].tolist()
        for start, stop in zip(first.tolist(), end.tolist(), strict=True)
    ]


def as_one(hits: Hits, same: Mapping[int, int]) -> Hits:
    """The hits with each person that is a key of ``same`` replaced by its value, in that order."""
    if not same:
        return hits
    people = hits.people.copy()
    for person, other in same.items():
        people[people == person] = other
    return Hits(hits.ids, people, hits.parts, hits.scores)


def without(hits: Hits, ids: Collection[int]) -> Hits:
    """The hits whose picture is not among ``ids``."""
    if not ids:
        return hits
    return select(hits, np.flatnonzero(~np.isin(hits.ids, np.fromiter(ids, dtype=np.int64))))


def select(hits: Hits, rows: npt.NDArray[np.int64]) -> Hits:
    """The hits at these rows, in their order."""
    return Hits(hits.ids[rows], hits.people[rows], hits.parts[rows], hits.scores[rows])
