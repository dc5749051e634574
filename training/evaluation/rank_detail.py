"""What a report shows of each query, kept while the scores pass: first answers, curves, samples. No torch.

>>> detail = RankDetail(query_people, query_cameras, gallery_people, gallery_cameras, camera_rule=True)
>>> measured = measure_scores(detail.watch(blocks), ...)
>>> detail.nearest[0], detail.precision_by_recall().mean()      # the mean is mAP
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from training.evaluation.nearest import nearest
from training.evaluation.ranking import in_order, match_ranks

__all__ = ["DEPTH", "RECALL_BINS", "RankDetail"]

DEPTH = 10
"""Answers kept of each query."""

RECALL_BINS = 100

_DIFFERENT = 256
"""Scores against other people kept of each query, drawn at random: all of them would be the whole matrix."""


class RankDetail:
    """Watches blocks of scores on their way.

    Attributes:
        nearest: int64 [Q, min(DEPTH, G)], gallery pictures by rank, those left out that the camera rule
            ignores; -1 where fewer are left.
        scores: float32 [Q, min(DEPTH, G)], theirs.
        right: bool [Q, min(DEPTH, G)], whether each shows the query's person.
        best_match: int64 [Q], the match that ranks first; -1 where the query has none.
        best_match_score: float32 [Q].
    """

    def __init__(
        self,
        query_people: npt.ArrayLike,
        query_cameras: npt.ArrayLike,
        gallery_people: npt.ArrayLike,
        gallery_cameras: npt.ArrayLike,
        *,
        camera_rule: bool,
        seed: int = 0,
    ):
        """Prepare for scores [Q, G] of these people and cameras, int [Q] and [G]."""
        self._asked, self._asked_from = np.asarray(query_people), np.asarray(query_cameras)
        self._people, self._cameras = np.asarray(gallery_people), np.asarray(gallery_cameras)
        self._camera_rule = camera_rule
        self._generator = np.random.default_rng(seed)
        shape = len(self._asked), min(DEPTH, len(self._people))
        self.nearest = np.full(shape, -1, dtype=np.int64)
        self.scores = np.full(shape, -np.inf, dtype=np.float32)
        self.right = np.zeros(shape, dtype=np.bool_)
        self.best_match = np.full(len(self._asked), -1, dtype=np.int64)
        self.best_match_score = np.full(len(self._asked), -np.inf, dtype=np.float32)
        self._precision = np.zeros((len(self._asked), RECALL_BINS))
        self._same: list[npt.NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(self._asked)
        self._different: list[npt.NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(self._asked)

    def watch(self, blocks: Iterable[npt.NDArray[np.floating]]) -> Iterator[npt.NDArray[np.floating]]:
        """Pass the blocks on as they are, having looked at them."""
        for start, block in in_order(blocks, len(self._asked), len(self._people)):
            for row, scores in enumerate(block, start):
                self._look(row, scores)
            yield block

    def _look(self, row: int, scores: npt.NDArray[np.floating]) -> None:
        own = self._people == self._asked[row]
        ignored = own & (self._cameras == self._asked_from[row]) & self._camera_rule
        matches = np.flatnonzero(own & ~ignored)
        left = np.where(ignored, -np.inf, scores)
        found = nearest(left[None], DEPTH)[0]
        found = found[~ignored[found]]
        place = slice(0, len(found))
        self.nearest[row, place], self.scores[row, place] = found, scores[found]
        self.right[row, place] = own[found]
        others = np.flatnonzero(~own)
        if len(others):
            drawn = self._generator.integers(0, len(others), min(_DIFFERENT, len(others)))
            self._different[row] = scores[others[drawn]].astype(np.float32)
        self._same[row] = scores[matches].astype(np.float32)
        if not len(matches):
            return
        best = matches[scores[matches].argmax()]
        self.best_match[row], self.best_match_score[row] = best, scores[best]
        ranks = match_ranks(scores, matches, np.flatnonzero(ignored))
        # Average precision is the integral, over recall, of the precision at the match that reaches it.
        reached = np.concatenate([[0.0], np.cumsum(np.arange(1, len(ranks) + 1) / ranks)]) / len(ranks)
        edges = np.linspace(0, 1, RECALL_BINS + 1)
        integral = np.interp(edges, np.linspace(0, 1, len(ranks) + 1), reached)
        self._precision[row] = np.diff(integral) * RECALL_BINS

    def precision_by_recall(self) -> npt.NDArray[np.float64]:
        """Mean precision, 0 to 1, in each hundredth of recall, float64 [RECALL_BINS].

        Of each query it is the precision at the match with which that recall is reached, not interpolated,
        so that the mean of the curve is mAP. Queries without a match are left out.
        """
        counted = self.best_match >= 0
        return self._precision[counted].mean(axis=0) if counted.any() else np.zeros(RECALL_BINS)

    def pair_scores(
        self, queries: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Scores of pairs of the same person, all of them, and of different people, a sample of each query.

        Args:
            queries: bool [Q], whose; None for all.
        """
        chosen = range(len(self._asked)) if queries is None else np.flatnonzero(queries).tolist()
        none = [np.zeros(0, np.float32)]
        return (
            np.concatenate(none + [self._same[row] for row in chosen]),
            np.concatenate(none + [self._different[row] for row in chosen]),
        )

    def lead(self) -> npt.NDArray[np.float32]:
        """How far the best match's score lies above the best other person's shown, float32 [Q].

        Where only the query's person is shown, the last score shown stands in; -inf without a match.
        """
        shown = self.nearest >= 0
        wrong = np.where(shown & ~self.right, self.scores, -np.inf).max(axis=1, initial=-np.inf)
        last = np.where(shown, self.scores, np.inf).min(axis=1, initial=np.inf)
        with np.errstate(invalid="ignore"):
            return np.where(
                self.best_match >= 0,
                self.best_match_score - np.where(np.isfinite(wrong), wrong, last),
                -np.inf,
            ).astype(np.float32)
