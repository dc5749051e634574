"""Verification: are these two pictures of one person? True positives at a false positive rate. No torch.

Every pair of a query and a gallery picture that the camera rule leaves is a trial. At a false positive rate f
a pair is accepted where its score exceeds the threshold, which is the lowest at which at most the share f of
the pairs of different people is accepted. Of those pairs only the highest scores are kept, so that the exact
threshold of a billion pairs needs a thousandth of their memory.

    >>> verification = Verification((1e-3, 1e-4), query_people, query_cameras, gallery_people, ...)
    >>> ranking = rank(verification.watch(blocks), ...)     # one pass over the scores serves both
    >>> verification.rates()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from training.evaluation.ranking import in_order

__all__ = ["FALSE_POSITIVE_RATES", "Verification"]

FALSE_POSITIVE_RATES = (1e-3, 1e-4)


class Verification:
    """Watches blocks of scores on their way and gives the rates once all have passed."""

    def __init__(
        self,
        false_positive_rates: tuple[float, ...],
        query_people: npt.ArrayLike,
        query_cameras: npt.ArrayLike,
        gallery_people: npt.ArrayLike,
        gallery_cameras: npt.ArrayLike,
        *,
        camera_rule: bool,
    ):
        """Prepare for scores [Q, G] of these people and cameras, int [Q] and [G].

        Raises:
            ValueError: a rate is not between 0 and 1.
        """
        if not all(0 <= rate < 1 for rate in false_positive_rates):
            raise ValueError(f"false positive rates must be at least 0 and below 1: {false_positive_rates}")
        self._false_positive_rates = false_positive_rates
        self._asked, self._asked_from = np.asarray(query_people), np.asarray(query_cameras)
        self._people, self._cameras = np.asarray(gallery_people), np.asarray(gallery_cameras)
        self._camera_rule = camera_rule
        known, sizes = np.unique(self._people, return_counts=True)
        pictures = dict(zip(known.tolist(), sizes.tolist(), strict=True))
        self.different_pairs = sum(len(self._people) - pictures.get(p, 0) for p in self._asked.tolist())
        most = max((int(rate * self.different_pairs) for rate in false_positive_rates), default=0)
        self._kept = most + 1
        self._highest: list[npt.NDArray[np.float32]] = []
        self._waiting = 0
        self._least = -np.inf
        self._same: list[npt.NDArray[np.float32]] = []

    def watch(self, blocks: Iterable[npt.NDArray[np.floating]]) -> Iterator[npt.NDArray[np.floating]]:
        """Pass the blocks on as they are, having looked at them."""
        for start, block in in_order(blocks, len(self._asked), len(self._people)):
            for row, scores in enumerate(block, start):
                own = self._people == self._asked[row]
                matches = own & (self._cameras != self._asked_from[row]) if self._camera_rule else own
                self._same.append(scores[matches].astype(np.float32))
                self._keep(scores[~own])
            yield block

    def _keep(self, scores: npt.NDArray[np.floating]) -> None:
        """Keep scores of different people that may still decide a threshold."""
        self._highest.append(scores[scores >= self._least].astype(np.float32))
        self._waiting += len(self._highest[-1])
        if self._waiting > 2 * self._kept + 2**20:
            self._cut()

    def _cut(self) -> None:
        """Forget all but the highest ``_kept`` scores."""
        highest = np.concatenate(self._highest)
        if len(highest) > self._kept:
            highest = np.partition(highest, len(highest) - self._kept)[-self._kept :]
        if len(highest) == self._kept:
            self._least = float(highest.min())
        self._highest, self._waiting = [highest], len(highest)

    def rates(self) -> dict[float, float | None]:
        """Share of the pairs of one person that is accepted, 0 to 1, by false positive rate.

        None where there are no pairs of one person, or none of different people.
        """
        same = np.concatenate(self._same) if self._same else np.zeros(0, np.float32)
        if not len(same) or not self.different_pairs:
            return dict.fromkeys(self._false_positive_rates)
        self._cut()
        descending = np.sort(self._highest[0])[::-1]
        return {
            rate: float((same > descending[int(rate * self.different_pairs)]).mean())
            for rate in self._false_positive_rates
        }
