"""Open-set identification: is this person in the gallery, and who is it? No torch.

Detection and identification rate at a false alarm rate (Grother and Ngan, NIST FRVT; Phillips et al. 2011,
"Evaluation methods in face recognition", watch list): some people who ask are absent from the gallery. An
answer is the best gallery picture, given where its score exceeds the threshold. The threshold is the lowest
at which at most the share f of the absent people's queries gets an answer; the rate is the share of the other
queries whose answer is given and right.

Data sets for re-identification have everybody in the gallery, so that some people must be taken out of it:
:func:`absent_people` takes every second, by number. Queries that have no match in the gallery anyway (a
distractor asks, or the camera rule leaves nothing) count as absent too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from training.evaluation.ranking import in_order

__all__ = ["FALSE_ALARM_RATES", "OpenSet", "absent_people"]

FALSE_ALARM_RATES = (0.01, 0.1)


def absent_people(query_people: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Every second of the people who ask, in the order of their numbers, from the second."""
    return np.unique(np.asarray(query_people, dtype=np.int64))[1::2]


class OpenSet:
    """Watches blocks of scores on their way and gives the rates once all have passed."""

    def __init__(
        self,
        absent: npt.ArrayLike,
        query_people: npt.ArrayLike,
        query_cameras: npt.ArrayLike,
        gallery_people: npt.ArrayLike,
        gallery_cameras: npt.ArrayLike,
        *,
        camera_rule: bool,
    ):
        """Prepare for scores [Q, G] of these people and cameras, int [Q] and [G].

        Args:
            absent: people whose gallery pictures are taken out.
        """
        self._asked, self._asked_from = np.asarray(query_people), np.asarray(query_cameras)
        self._gallery = len(np.asarray(gallery_people))
        self._left = np.flatnonzero(~np.isin(np.asarray(gallery_people), np.asarray(absent)))
        self._people = np.asarray(gallery_people)[self._left]
        self._cameras = np.asarray(gallery_cameras)[self._left]
        self._camera_rule = camera_rule
        self._score = np.full(len(self._asked), -np.inf)
        self._right = np.zeros(len(self._asked), np.bool_)
        self._present = np.zeros(len(self._asked), np.bool_)

    def watch(self, blocks: Iterable[npt.NDArray[np.floating]]) -> Iterator[npt.NDArray[np.floating]]:
        """Pass the blocks on as they are, having looked at them."""
        for start, block in in_order(blocks, len(self._asked), self._gallery):
            for row, scores in enumerate(block, start):
                own = self._people == self._asked[row]
                ignored = own & (self._cameras == self._asked_from[row]) & self._camera_rule
                self._present[row] = (own & ~ignored).any()
                seen = np.where(ignored, -np.inf, scores[self._left])
                if len(seen):
                    best = int(seen.argmax())
                    self._score[row], self._right[row] = seen[best], own[best] and not ignored[best]
            yield block

    @property
    def absent_queries(self) -> int:
        """Queries whose person is not in the gallery."""
        return int((~self._present).sum())

    def rates(self, false_alarm_rates: tuple[float, ...] = FALSE_ALARM_RATES) -> dict[float, float | None]:
        """Detection and identification rate, 0 to 1, by false alarm rate.

        None where nobody who asks is absent, or nobody present.
        """
        alarms = np.sort(self._score[~self._present])[::-1]
        if not len(alarms) or not self._present.any():
            return dict.fromkeys(false_alarm_rates)
        scores, right = self._score[self._present], self._right[self._present]
        return {
            rate: float((right & (scores > alarms[min(int(rate * len(alarms)), len(alarms) - 1)])).mean())
            for rate in false_alarm_rates
        }
