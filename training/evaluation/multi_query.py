"""Multi-query: one question from all pictures of a person in a camera (AOS table 2). No torch.

Zheng et al. 2015, "Scalable person re-identification: a benchmark" (Market-1501), §4.3: the features of the
query person's pictures in the query's camera are pooled, by average or by maximum. Under the camera rule the
gallery's pictures of that person and camera are ignored in the ranking, and are therefore pooled as well;
without the rule they could be found, and only the query side's own are pooled. (Market-1501 brings further
pictures for this in ``gt_bbox``; who has them adds them to the pooled side.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.evaluation.distances import COSINE

__all__ = ["Labelled", "pool"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Features with whom they show and from where.

    Attributes:
        features: [n, D], may be memory-mapped.
        people, cameras: int64 [n].
    """

    features: npt.NDArray[np.floating]
    people: npt.NDArray[np.int64]
    cameras: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or not len(self.features) == len(self.people) == len(self.cameras):
            raise ValueError("features must be [n, D], with one person and one camera a row")


def pool(
    query: Labelled,
    gallery: Labelled,
    *,
    camera_rule: bool,
    pooling: Literal["average", "maximum"] = "average",
) -> Labelled:
    """One query a person and camera, in the order of their first pictures; features of unit length.

    Args:
        query, gallery: the protocol's sides, features of unit length.
        camera_rule: whether the protocol ignores a gallery picture of the query's person and camera.
    """
    keys = np.stack([query.people, query.cameras], axis=1)
    groups, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    pooled = np.empty((len(groups), query.features.shape[1]), dtype=np.float32)
    for place, number in enumerate(order):
        members = [np.asarray(query.features[np.flatnonzero(group.reshape(-1) == number)], np.float32)]
        if camera_rule:
            person, camera = groups[number]
            own = np.flatnonzero((gallery.people == person) & (gallery.cameras == camera))
            members.append(np.asarray(gallery.features[own], np.float32))
        stacked = np.concatenate(members)
        pooled[place] = stacked.mean(axis=0) if pooling == "average" else stacked.max(axis=0)
    return Labelled(COSINE.prepare(pooled), groups[order, 0], groups[order, 1])
