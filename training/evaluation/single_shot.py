"""Single-shot trials: a gallery of one picture a person, drawn anew each time (CUHK03's classic). No torch.

Li et al. 2014, "DeepReID: deep filter pairing neural network for person re-identification", §5: each query
is ranked against one picture of everybody from the other camera, drawn at random; the match curve is the mean
over 100 trials. A person's picture that the camera rule ignores for a query is not drawn for that query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from training.evaluation.ranking import in_order

__all__ = ["SingleShot"]


class SingleShot:
    """Watches blocks of scores on their way and gives the match curve once all have passed."""

    def __init__(
        self,
        trials: int,
        query_people: npt.ArrayLike,
        query_cameras: npt.ArrayLike,
        gallery_people: npt.ArrayLike,
        gallery_cameras: npt.ArrayLike,
        *,
        camera_rule: bool,
        seed: int = 0,
    ):
        """Draw the galleries of all trials, for scores [Q, G] of these people and cameras, int [Q] and [G].

        Raises:
            ValueError: ``trials`` is below 1.
        """
        if trials < 1:
            raise ValueError(f"single-shot needs at least one trial, not {trials}")
        self._asked, self._asked_from = np.asarray(query_people), np.asarray(query_cameras)
        self._people, self._cameras = np.asarray(gallery_people), np.asarray(gallery_cameras)
        self._camera_rule = camera_rule
        generator = np.random.default_rng(seed)
        # The picture that comes first in the trial's own order is the one that is drawn, of each person.
        self._orders = [generator.permutation(len(self._people)) for _ in range(trials)]
        self._drawn = [
            np.sort(order[np.unique(self._people[order], return_index=True)[1]]) for order in self._orders
        ]
        self.ranks = np.zeros((trials, len(self._asked)), dtype=np.int64)
        """int64 [trials, Q], rank of the match from 1; 0 where the query has none."""

    def watch(self, blocks: Iterable[npt.NDArray[np.floating]]) -> Iterator[npt.NDArray[np.floating]]:
        """Pass the blocks on as they are, having looked at them."""
        for start, block in in_order(blocks, len(self._asked), len(self._people)):
            for row, scores in enumerate(block, start):
                own = self._people == self._asked[row]
                eligible = own & (self._cameras != self._asked_from[row]) if self._camera_rule else own
                if not eligible.any():
                    continue
                for trial, (order, drawn) in enumerate(zip(self._orders, self._drawn, strict=True)):
                    match = order[eligible[order].argmax()]
                    others = drawn[~own[drawn]]
                    ahead = scores[others] > scores[match]
                    ahead |= (scores[others] == scores[match]) & (others < match)
                    self.ranks[trial, row] = 1 + np.count_nonzero(ahead)
            yield block

    def cmc(self, depth: int = 20) -> npt.NDArray[np.float64]:
        """Mean match curve over the trials, float64 [depth], percent of the queries that have a match."""
        counted = self.ranks[:, (self.ranks > 0).any(axis=0)]
        if not counted.size:
            return np.zeros(depth)
        return np.array([100.0 * (counted <= k).mean() for k in range(1, depth + 1)])
