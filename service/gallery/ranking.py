"""From what looks into the index find to ranked results with names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.calibration import Calibration
from service.gallery.grade import Grade
from service.gallery.looking import Found, Look, Looking
from service.index.protocol import Hits
from service.matching import unification
from service.matching.decision import Rule, Verdict, judge
from service.matching.reranking import CANDIDATES
from service.storage.catalog import Catalog
from service.storage.records import ImageRecord

__all__ = ["Judging", "Match", "Ranked", "Wanted", "cosine", "matches", "rank"]

_FIRST_LOOK: Final = 4
"""Pictures first looked at per person asked for; more only if they show too few different people."""


@dataclass(frozen=True, slots=True)
class Match:
    """One result.

    Attributes:
        rank: from 1.
        person: name.
        score: mean over the query pictures of score(q, i), -1 to 1: a cosine, with ``fuse`` the fused score.
        image: public id of the picture that matched.
        camera, time: of that picture.
        client_id, metadata: the caller's, of that picture.
        grade: of that picture.
        compared: what was hidden on both sides, e.g. ``bottom_half+left_quarter``, or ``none``. With ``fuse``
            everything is compared under every type: the one that added most to the score.
        verdict: what the score means; None where the model is not calibrated for this ``unify``.
        distance: k-reciprocal, 0 to 1, by which re-ranked results are ordered; else None.
        evidence: the person's next best pictures among those looked at, each as a match of the same rank,
            without a verdict of its own.
    """

    rank: int
    person: str
    score: float
    image: str
    camera: str | None
    time: datetime | None
    client_id: str | None
    metadata: Mapping[str, Any]
    grade: Grade
    compared: str
    verdict: Verdict | None = None
    distance: float | None = None
    evidence: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be ranked.

    Attributes:
        top_k: most results.
        by_person: each person once, with their best picture; else pictures.
        evidence: most pictures of a person.
        unify, rerank: as in :class:`service.gallery.query.QueryOptions`.
    """

    top_k: int
    by_person: bool
    evidence: int
    unify: str
    rerank: bool


@dataclass(frozen=True, slots=True)
class Ranked:
    """What was found, and whom it shows.

    Attributes:
        hits: pictures, with those that are shown.
        results: of each, the rows of its pictures in ``hits``, best first; at least one.
        records: of all those pictures.
        distances: k-reciprocal, of those that were re-ranked.
        found: the look that they are from.
    """

    hits: Hits
    results: Sequence[Sequence[int]]
    records: dict[int, ImageRecord]
    distances: dict[int, float]
    found: Found

    def record(self, row: int) -> ImageRecord:
        return self.records[int(self.hits.ids[row])]


@dataclass(frozen=True, slots=True)
class Judging:
    """By what scores are judged, as :func:`service.matching.decision.judge` takes it."""

    calibration: Calibration | None
    unify: str
    rule: Rule
    codes: Sequence[int]
    comparisons: int
    people: int

    def verdict(self, score: float, part: int) -> Verdict | None:
        return judge(
            self.calibration,
            self.unify,
            self.rule,
            score,
            self.codes,
            part,
            comparisons=self.comparisons,
            people=self.people,
        )


def rank(
    catalog: Catalog,
    looking: Looking,
    gallery: int,
    look: Look,
    among: npt.NDArray[np.int64] | None,
    wanted: Wanted,
    people: int | None,
) -> Ranked:
    """Look until as many are found as are wanted, and as catalog and index agree on.

    The index follows the catalog a moment later. A picture that the catalog has no longer is passed over, and
    people who have one name there are one: the next best move up.

    Args:
        people: how many the pictures looked at show; None: to be counted where that matters. Who asks for
            more people than there are is not to have every picture scored for it.

    Raises:
        UnknownGallery: it was deleted meanwhile.
    """
    look_at = wanted.top_k * (_FIRST_LOOK - 1 + wanted.evidence if wanted.by_person else 1)
    if wanted.rerank:
        look_at = max(look_at, CANDIDATES)
    gone: set[int] = set()
    same: dict[int, int] = {}  # in the order in which they were found to be one
    distances: dict[int, float] = {}
    while True:
        found = look(among, look_at)
        hits = unification.as_one(unification.without(found.hits, gone), same)
        if wanted.rerank:
            hits, distances = looking.reranked(gallery, hits, wanted.unify)
        best = unification.best_per_person(hits) if wanted.by_person else hits
        if len(best.ids) < wanted.top_k and len(found.hits.ids) == look_at:
            if wanted.by_person and people is None:
                people = catalog.people.count(gallery)
            if not wanted.by_person or people is None or len(best.ids) < people:
                look_at *= _FIRST_LOOK
                continue
        best = unification.select(best, np.arange(min(wanted.top_k, len(best.ids))))
        shown, results = best, [[row] for row in range(len(best.ids))]
        if wanted.evidence > 1:
            shown, results = hits, unification.best_of_each(hits, best.people, wanted.evidence)
        ids = [int(shown.ids[row]) for rows in results for row in rows]
        records = catalog.pictures.shown(gallery, ids)
        if missing := set(ids) - records.keys():
            gone |= missing
        elif wanted.by_person and (more := _of_one_name(best, records)):
            same |= more
        else:
            return Ranked(shown, results, records, distances, found)


def matches(ranked: Ranked, judging: Judging) -> tuple[Match, ...]:
    """The results as they are answered."""
    made = []
    for place, (best, *others) in enumerate(ranked.results, 1):
        person = ranked.record(best).person
        # one that was just given to somebody else is no evidence
        evidence = [_match(place, row, ranked) for row in others if ranked.record(row).person == person]
        verdict = judging.verdict(float(ranked.hits.scores[best]), int(ranked.hits.parts[best]))
        made.append(_match(place, best, ranked, verdict, tuple(evidence)))
    return tuple(made)


def cosine(score: float) -> float:
    """A score within what a cosine can be: features stored in float16 are not quite of unit length."""
    return max(-1.0, min(1.0, float(score)))


def _match(
    place: int, row: int, ranked: Ranked, verdict: Verdict | None = None, evidence: tuple[Match, ...] = ()
) -> Match:
    hits, record = ranked.hits, ranked.record(row)
    id = int(hits.ids[row])
    return Match(
        rank=place,
        person=record.person,
        score=cosine(float(hits.scores[row])),
        image=record.id,
        camera=record.camera,
        time=record.time,
        client_id=record.client_id,
        metadata=record.metadata,
        grade=Grade(record.occlusion, record.scores),
        compared=ranked.found.compared(id, int(hits.parts[row])),
        verdict=verdict,
        distance=ranked.distances.get(id),
        evidence=evidence,
    )


def _of_one_name(best: Hits, records: dict[int, ImageRecord]) -> dict[int, int]:
    """People of the index who have the name of a better one in the catalog: theirs -> the better one's."""
    first: dict[str, int] = {}
    return {
        person: better
        for id, person in zip(best.ids.tolist(), best.people.tolist(), strict=True)
        if (better := first.setdefault(records[id].person, person)) != person
    }
