"""From features to scores in blocks; between them multi-query, expansion and re-ranking. No torch.

>>> asked, blocks = feature_scores(query, gallery, Steps(reranking=KReciprocal()), camera_rule=True)
>>> measured = measure_scores(blocks, asked.people, asked.cameras, gallery.people, gallery.cameras, ...)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.evaluation.distances import COSINE, Distance
from training.evaluation.multi_query import Labelled, pool
from training.evaluation.query_expansion import Expansion, expand
from training.evaluation.reranking import KReciprocal, rerank

__all__ = ["Steps", "feature_scores"]


@dataclass(frozen=True, slots=True)
class Steps:
    """What happens between features and scores, in this order.

    Attributes:
        multi_query: pool the query pictures of a person and camera.
        expansion: expand the queries; None to leave them.
        reranking: re-rank by k-reciprocal encoding; None to leave the ranks.
    """

    multi_query: bool = False
    expansion: Expansion | None = None
    reranking: KReciprocal | None = None

    def __bool__(self) -> bool:
        """Whether anything happens at all."""
        return self.multi_query or self.expansion is not None or self.reranking is not None

    @property
    def label(self) -> str:
        """E.g. ``"multi-query+rerank(20,6,0.3)"``; empty where nothing happens."""
        parts = ["multi-query"] if self.multi_query else []
        if self.expansion is not None:
            power = f",{self.expansion.alpha:g}" if self.expansion.weights == "alpha" else ""
            parts.append(f"expand-{self.expansion.weights}({self.expansion.neighbours}{power})")
        if self.reranking is not None:
            values = self.reranking
            parts.append(f"rerank({values.k1},{values.k2},{values.original:g})")
        return "+".join(parts)


def feature_scores(
    query: Labelled,
    gallery: Labelled,
    steps: Steps | None = None,
    distance: Distance = COSINE,
    *,
    camera_rule: bool,
) -> tuple[Labelled, Iterator[npt.NDArray[np.float32]]]:
    """The queries that are really asked, and their scores [b, G] in blocks, in order.

    Nothing as large as all scores is built, and the gallery's features may be memory-mapped; see
    :meth:`Distance.scores` for what is held.
    """
    steps = steps or Steps()
    if steps.multi_query:
        query = pool(query, gallery, camera_rule=camera_rule)
    if steps.expansion is not None:
        expanded = expand(query.features, gallery.features, steps.expansion, distance)
        query = Labelled(expanded, query.people, query.cameras)
    if steps.reranking is not None:
        return query, rerank(query.features, gallery.features, steps.reranking, distance)
    return query, distance.scores(query.features, gallery.features)
