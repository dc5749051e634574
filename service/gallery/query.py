"""Querying: who in a gallery is the person in these pictures?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from models import occlusion
from service.embedding.box import Box
from service.embedding.together import embed_together
from service.gallery.generation import Generation
from service.gallery.grade import Grade
from service.gallery.looking import Look, Looking
from service.gallery.parts import Parts
from service.matching import fused, unification
from service.matching.decision import NO_WISHES, Rule, Verdict, compared_codes, judge
from service.matching.reranking import CANDIDATES
from service.problems import BadRequest
from service.storage.filters import EVERYTHING, Filters
from service.storage.records import GalleryKey
from service.tracing import stage

__all__ = ["Match", "Queries", "QueryAnswer", "QueryOptions", "Timings", "cosine"]

_FIRST_LOOK: Final = 4
"""Pictures first looked at per person asked for; more only if they show too few different people."""


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How to query.

    Attributes:
        top_k: most results, at least 1.
        by: ``person``: each person once, with their best picture; ``image``: pictures.
        unify: ``auto``, ``off``, ``fuse``, or an occlusion type's name: the caller states the query's
            occlusion.
        filters: which pictures are looked at.
        boxes: where the person is, one for each query picture (None: the whole picture); empty: all whole.
        rule: how to decide, over the gallery's own.
        rerank: order the best pictures by their k-reciprocal distance (``service/matching/reranking.py``);
            scores and verdicts stay those of the search.
    """

    top_k: int = 10
    by: Literal["person", "image"] = "person"
    unify: str = unification.AUTO
    boxes: Sequence[Box | None] = ()
    filters: Filters = EVERYTHING
    rule: Rule = NO_WISHES
    rerank: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One result.

    Attributes:
        rank: from 1.
        person: name.
        score: mean over the query pictures of score(q, i), -1 to 1: a cosine, with ``fuse`` the fused score.
        image: public id of the picture that matched.
        camera, time: of that picture.
        grade: of that picture.
        compared: what was hidden on both sides, e.g. ``bottom_half+left_quarter``, or ``none``. With ``fuse``
            everything is compared under every type: the one that added most to the score.
        verdict: what the score means; None where the model is not calibrated for this ``unify``.
        distance: k-reciprocal, 0 to 1, by which re-ranked results are ordered; else None.
    """

    rank: int
    person: str
    score: float
    image: str
    camera: str | None
    time: datetime | None
    grade: Grade
    compared: str
    verdict: Verdict | None = None
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a query's time went, in milliseconds.

    Attributes:
        decode, queue, embed: of the slowest picture of each round of embedding, rounds added.
        search: index and catalog.
        total: from call to answer.
    """

    decode: float
    queue: float
    embed: float
    search: float
    total: float


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """The answer to a query.

    Attributes:
        pictures: grade of each query picture, in order.
        results: best first.
        fingerprint: of the model that compared.
        timings: in milliseconds.
    """

    pictures: tuple[Grade, ...]
    results: tuple[Match, ...]
    fingerprint: str
    timings: Timings


class Queries:
    """Asks galleries."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def answer(self, gallery: str, contents: Sequence[bytes], options: QueryOptions) -> QueryAnswer:
        """Rank a gallery's people or pictures by likeness to the person in the query pictures.

        Args:
            gallery: name.
            contents: picture files of one person, at least one.
            options: how.

        Raises:
            UnknownGallery: there is none, or it was deleted meanwhile.
            PictureError, Overloaded, DeadlineExceeded: from the embedder, for any of the pictures.
            BadRequest: no picture, ``top_k`` below 1, or ``unify`` is not a choice.
        """
        began = time.perf_counter()
        if not contents:
            raise BadRequest("a query needs at least one picture")
        if options.top_k < 1:
            raise BadRequest(f"top_k must be at least 1, not {options.top_k}")
        if options.unify not in unification.CHOICES:
            raise BadRequest(f"unify must be one of {', '.join(unification.CHOICES)}, not {options.unify!r}")
        if options.boxes and len(options.boxes) != len(contents):
            raise BadRequest(f"there are {len(contents)} pictures but {len(options.boxes)} boxes")
        key = await self._parts.key(gallery)
        while True:
            model = self._parts.answering(key.number)
            answer = await self._answer(model, key, contents, options, began)
            if self._parts.answering(key.number) is model:
                return answer
            # another model took the gallery over, and half of what was searched may have been gone

    async def _answer(
        self,
        model: Generation,
        key: GalleryKey,
        contents: Sequence[bytes],
        options: QueryOptions,
        began: float,
    ) -> QueryAnswer:
        looking = Looking(self._parts, model)
        fusing = options.unify == unification.FUSE
        first = fused.CODES if fusing else (occlusion.NONE,)
        rounds = [await embed_together(model.embedder, contents, first, options.boxes)]
        if fusing:
            look = looking.fused(key.number, rounds[0])
        else:
            parts = tuple(model.index.parts(key.number))
            if more := set(unification.query_codes(options.unify, parts)) - {occlusion.NONE}:
                rounds.append(await embed_together(model.embedder, contents, sorted(more), options.boxes))
            look = looking.unified(key.number, rounds, parts, options.unify)
        began_search = time.perf_counter()
        graded = [picture.occlusion for picture in rounds[0]]
        results = await self._parts.read(lambda: self._search(model, looking, key, look, graded, options))
        ended = time.perf_counter()
        stage("search", began_search, ended)
        return QueryAnswer(
            pictures=tuple(Grade(picture.occlusion, picture.scores) for picture in rounds[0]),
            results=results,
            fingerprint=model.embedder.fingerprint,
            timings=Timings(
                decode=_milliseconds(max(view.times.decode for view in views) for views in rounds),
                queue=_milliseconds(max(view.times.queue for view in views) for views in rounds),
                embed=_milliseconds(max(view.times.embed for view in views) for views in rounds),
                search=_milliseconds([ended - began_search]),
                total=_milliseconds([ended - began]),
            ),
        )

    def _search(
        self,
        model: Generation,
        looking: Looking,
        key: GalleryKey,
        look: Look,
        graded: Sequence[int],
        options: QueryOptions,
    ) -> tuple[Match, ...]:
        gallery = key.number
        among, people = self._looked_at(model, gallery, options.filters)
        look_at = options.top_k * (_FIRST_LOOK if options.by == "person" else 1)
        if options.rerank:
            look_at = max(look_at, CANDIDATES)
        deleted: set[int] = set()
        distances: dict[int, float] = {}
        while True:
            found = look(among, look_at)
            best = unification.without(found.hits, deleted)
            if options.rerank:
                best, distances = looking.reranked(gallery, best, options.unify)
            if options.by == "person":
                best = unification.best_per_person(best)
            if len(best.ids) < options.top_k and len(found.hits.ids) == look_at:
                look_at *= _FIRST_LOOK
                continue
            best = unification.select(best, np.arange(min(options.top_k, len(best.ids))))
            records = self._parts.catalog.pictures.shown(gallery, best.ids.tolist())
            missing = set(best.ids.tolist()) - records.keys()
            if not missing:
                break
            deleted |= missing  # between our look into the index and the catalog: the next best move up
        comparisons = sum(model.index.parts(gallery).values()) if among is None else len(among)
        rule, codes = options.rule.over(key.rule), compared_codes(options.unify, graded)
        return tuple(
            Match(
                rank=rank,
                person=record.person,
                score=cosine(score),
                image=record.id,
                camera=record.camera,
                time=record.time,
                grade=Grade(record.occlusion, record.scores),
                compared=found.compared(id, part),
                verdict=judge(
                    model.calibration,
                    options.unify,
                    rule,
                    float(score),
                    codes,
                    part,
                    comparisons=comparisons,
                    people=people,
                ),
                distance=distances.get(id),
            )
            for rank, (record, id, part, score) in enumerate(
                zip(
                    (records[id] for id in best.ids.tolist()),
                    best.ids.tolist(),
                    best.parts.tolist(),
                    best.scores,
                    strict=True,
                ),
                1,
            )
        )

    def _looked_at(
        self, model: Generation, gallery: int, filters: Filters
    ) -> tuple[npt.NDArray[np.int64] | None, int]:
        """Numbers of the pictures that a query looks at (None: all), and how many people they show."""
        if filters:
            return self._parts.catalog.pictures.matching(gallery, filters)
        return None, 0 if model.calibration is None else self._parts.catalog.people.count(gallery)


def cosine(score: float) -> float:
    """A score within what a cosine can be: features stored in float16 are not quite of unit length."""
    return max(-1.0, min(1.0, float(score)))


def _milliseconds(seconds: Iterable[float]) -> float:
    return 1000.0 * sum(seconds)
