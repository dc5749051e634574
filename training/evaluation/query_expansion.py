"""Query expansion: ask again with what the first answer brought. No torch.

Average: the mean of the query and its k best gallery pictures (Chum et al. 2007, "Total recall", average
query expansion). Alpha: the same with each gallery picture weighed by its cosine to the power alpha
(Radenović et al. 2019, "Fine-tuning CNN image retrieval with no human annotation", §5.1, alpha-QE).

The camera rule cannot be applied here, as in practice nobody knows who the query is: pictures of the query's
own camera may be among the k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.evaluation.distances import COSINE, Distance, rows_at_once
from training.evaluation.nearest import nearest

__all__ = ["Expansion", "expand"]


@dataclass(frozen=True, slots=True)
class Expansion:
    """How a query is expanded.

    Attributes:
        weights: ``"average"`` or ``"alpha"``.
        neighbours: k, how many gallery pictures join.
        alpha: the power, for ``"alpha"``; 0 is the average.

    Raises:
        ValueError: ``neighbours`` is below 1, or ``alpha`` negative.
    """

    weights: Literal["average", "alpha"] = "average"
    neighbours: int = 5
    alpha: float = 3.0

    def __post_init__(self) -> None:
        if self.neighbours < 1 or self.alpha < 0:
            raise ValueError("query expansion needs at least one neighbour and an alpha of 0 or more")


def expand(
    query: npt.NDArray[np.floating],
    gallery: npt.NDArray[np.floating],
    expansion: Expansion,
    distance: Distance = COSINE,
) -> npt.NDArray[np.float32]:
    """Expanded queries, float32 [Q, D], of unit length.

    Args:
        query, gallery: [Q, D] and [G, D], of unit length; the gallery may be memory-mapped.
        distance: finds the neighbours.
    """
    expanded = np.empty(query.shape, dtype=np.float32)
    rows = min(rows_at_once(len(gallery)), 256)
    done = 0
    for block in distance.scores(query, gallery, rows):
        members = nearest(block, expansion.neighbours)
        asked = np.asarray(query[done : done + len(block)], dtype=np.float32)
        # One row of a memory-mapped gallery after the other, in the file's order, is read faster.
        used, place = np.unique(members, return_inverse=True)
        found = np.asarray(gallery[used], dtype=np.float32)[place.reshape(members.shape)]
        if expansion.weights == "average":
            total = asked + found.sum(axis=1)
        else:
            cosines = np.einsum("bd,bkd->bk", COSINE.prepare(asked), found)
            total = asked + np.einsum("bk,bkd->bd", np.maximum(cosines, 0) ** expansion.alpha, found)
        expanded[done : done + len(block)] = COSINE.prepare(total)
        done += len(block)
    return expanded
