"""Querying: who in a gallery is the person in these pictures?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from models import occlusion
from service.embedding.box import Box
from service.embedding.together import embed_together
from service.gallery.generation import Generation
from service.gallery.grade import Grade
from service.gallery.looking import Look, Looking
from service.gallery.parts import Parts
from service.gallery.pending import Pending
from service.gallery.ranking import Judging, Match, Wanted, matches, rank
from service.matching import fused, unification
from service.matching.decision import NO_WISHES, Rule, compared_codes
from service.problems import BadRequest
from service.storage.filters import EVERYTHING, Filters
from service.storage.records import GalleryKey
from service.tracing import stage

__all__ = ["Queries", "QueryAnswer", "QueryOptions", "Timings"]


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
        evidence: pictures shown of each person, at least 1; more than one only by person.
    """

    top_k: int = 10
    by: Literal["person", "image"] = "person"
    unify: str = unification.AUTO
    boxes: Sequence[Box | None] = ()
    filters: Filters = EVERYTHING
    rule: Rule = NO_WISHES
    rerank: bool = False
    evidence: int = 1


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
        pending: pictures of the gallery that could not be compared, since another model made their features.
        compared: pictures that the query was ranked among: the gallery's, or those that the filters leave.
    """

    pictures: tuple[Grade, ...]
    results: tuple[Match, ...]
    fingerprint: str
    timings: Timings
    pending: int = 0
    compared: int = 0


class Queries:
    """Asks galleries."""

    def __init__(self, parts: Parts, pending: Pending) -> None:
        self._parts = parts
        self._pending = pending

    async def answer(self, gallery: str, contents: Sequence[bytes], options: QueryOptions) -> QueryAnswer:
        """Rank a gallery's people or pictures by likeness to the person in the query pictures.

        Args:
            gallery: name.
            contents: picture files of one person, at least one.
            options: how.

        Raises:
            UnknownGallery: there is none, or it was deleted meanwhile.
            PictureError, Overloaded, DeadlineExceeded: from the embedder, for any of the pictures.
            BadRequest: no picture, ``top_k`` or ``evidence`` below 1, ``unify`` is not a choice, the rates
                contradict those of the gallery or the calibration, or there is no calibration.
        """
        began = time.perf_counter()
        if not contents:
            raise BadRequest("a query needs at least one picture")
        if options.top_k < 1:
            raise BadRequest(f"top_k must be at least 1, not {options.top_k}")
        if options.evidence < 1 or (options.evidence > 1 and options.by != "person"):
            raise BadRequest(f"evidence must be at least 1, and 1 with by=image, not {options.evidence}")
        if options.unify not in unification.CHOICES:
            raise BadRequest(f"unify must be one of {', '.join(unification.CHOICES)}, not {options.unify!r}")
        if options.boxes and len(options.boxes) != len(contents):
            raise BadRequest(f"there are {len(contents)} pictures but {len(options.boxes)} boxes")
        models = [model for model in (self._parts.present, self._parts.previous) if model is not None]
        if (fault := options.rule.in_vain(model.calibration for model in models)) is not None:
            raise BadRequest(fault)
        key = await self._parts.key(gallery)
        while True:
            model = self._parts.answering(key.number)
            if (fault := options.rule.contradicts(key.rule, model.calibration)) is not None:
                raise BadRequest(fault)
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
        (results, compared), pending = await self._parts.read(
            lambda: (
                self._ranked(model, looking, key, look, graded, options),
                self._pending.count(key.number, model.embedder.fingerprint),
            )
        )
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
            pending=pending,
            compared=compared,
        )

    def _ranked(
        self,
        model: Generation,
        looking: Looking,
        key: GalleryKey,
        look: Look,
        graded: Sequence[int],
        options: QueryOptions,
    ) -> tuple[tuple[Match, ...], int]:
        """The results, and among how many pictures they were found."""
        among, people = self._looked_at(model, key.number, options.filters)
        wanted = Wanted(
            options.top_k, options.by == "person", options.evidence, options.unify, options.rerank
        )
        found = rank(self._parts.catalog, looking, key.number, look, among, wanted, people)
        compared = sum(model.index.parts(key.number).values()) if among is None else len(among)
        judging = Judging(
            model.calibration,
            options.unify,
            options.rule.over(key.rule),
            compared_codes(options.unify, graded),
            comparisons=compared,
            people=people or 0,
        )
        return matches(found, judging), compared

    def _looked_at(
        self, model: Generation, gallery: int, filters: Filters
    ) -> tuple[npt.NDArray[np.int64] | None, int | None]:
        """Numbers of the pictures that a query looks at (None: all), and how many people they show.

        None where nobody may need that number.
        """
        if filters:
            fingerprint = model.embedder.fingerprint
            # where none is pending, nobody need look whose features there are
            some_pending = self._pending.count(gallery, fingerprint) > 0
            return self._parts.catalog.pictures.matching(
                gallery, filters, fingerprint if some_pending else None
            )
        return None, None if model.calibration is None else self._parts.catalog.people.count(gallery)


def _milliseconds(seconds: Iterable[float]) -> float:
    return 1000.0 * sum(seconds)
