"""One look into the index: what a query's pictures find, unified or fused, and re-ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models import occlusion
from service.embedding.features import PictureFeatures
from service.gallery.generation import Generation
from service.gallery.parts import Parts
from service.index.protocol import Hits
from service.matching import fused, unification
from service.matching.reranking import CANDIDATES, reranked_distances, unified_scores

__all__ = ["Found", "Look", "Looking"]


@dataclass(frozen=True, slots=True)
class Found:
    """One look into the index: what was found, and from (id, part) of a picture what was compared."""

    hits: Hits
    compared: Callable[[int, int], str]


Look: TypeAlias = Callable[[npt.NDArray[np.int64] | None, int], Found]
"""From the ids that are looked at (None: all) and how many are wanted."""


class Looking:
    """Makes a query's look, and puts what it found in another order.

    Args:
        parts: of the service.
        model: the one that answers.
    """

    def __init__(self, parts: Parts, model: Generation) -> None:
        self._model = model
        present = model is parts.present
        self._features = parts.catalog.features if present else parts.catalog.previous

    def unified(
        self, gallery: int, rounds: Sequence[Sequence[PictureFeatures]], parts: Sequence[int], unify: str
    ) -> Look:
        """Look for a query's pictures, embedded in one or more rounds, each hidden where the other is."""
        queries = [
            unification.QueryPicture(
                unification.query_occlusion(unify, views[0].occlusion),
                {code: vector for view in views for code, vector in view.embeddings.items()},
            )
            for views in zip(*rounds, strict=True)
        ]
        codes = [query.occlusion for query in queries]

        def look(among: npt.NDArray[np.int64] | None, k: int) -> Found:
            searches = unification.plan(unify, queries, parts, among)
            hits = unification.merge(self._model.index.search(gallery, searches, k), k)
            return Found(hits, lambda _, part: unification.hidden_on_both_sides(unify, codes, part))

        return look

    def fused(self, gallery: int, pictures: Sequence[PictureFeatures]) -> Look:
        """Look for a query's pictures, embedded under all codes, by the fused score."""
        queries = [
            fused.FusedPicture(np.stack([view.embeddings[code] for code in fused.CODES]), view.scores)
            for view in pictures
        ]

        def look(among: npt.NDArray[np.int64] | None, k: int) -> Found:
            found = fused.fused_search(self._model.index, gallery, queries, k, among)
            rows = {id: row for row, id in enumerate(found.hits.ids.tolist())}
            return Found(found.hits, lambda id, _: found.compared(rows[id]))

        return look

    def reranked(self, gallery: int, hits: Hits, unify: str) -> tuple[Hits, dict[int, float]]:
        """The best hits in the order of their k-reciprocal distances, the others behind; and those by id."""
        if not len(hits.ids):
            return hits, {}
        stored, grades = self._features.graded(
            gallery, hits.ids[:CANDIDATES].tolist(), self._model.embedder.fingerprint
        )
        if not len(stored.ids):  # all erased since they were found, and of no features there is no shape
            return unification.select(hits, np.arange(CANDIDATES, len(hits.ids))), {}
        scores = dict(zip(hits.ids.tolist(), hits.scores.tolist(), strict=True))
        with_query = np.array([scores[id] for id in stored.ids.tolist()])
        if unify == unification.FUSE:
            among = fused.pair_scores(stored.features, grades, self._model.index.cohort(gallery).mean())
        else:
            whole = np.full_like(stored.occlusions, occlusion.NONE)
            among = unified_scores(stored.features, whole if unify == unification.OFF else stored.occlusions)
        distances = dict(
            zip(stored.ids.tolist(), reranked_distances(with_query, among).tolist(), strict=True)
        )
        best = [row for row, id in enumerate(hits.ids[:CANDIDATES].tolist()) if id in distances]
        best.sort(key=lambda row: distances[int(hits.ids[row])])
        rows = np.array([*best, *range(CANDIDATES, len(hits.ids))], dtype=np.int64)
        return unification.select(hits, rows), distances
