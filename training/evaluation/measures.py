"""Everything that is measured on one pass over the scores of all queries. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.evaluation.open_set import OpenSet, absent_people
from training.evaluation.ranking import Ranking, rank
from training.evaluation.single_shot import SingleShot
from training.evaluation.verification import FALSE_POSITIVE_RATES, Verification

__all__ = ["Measured", "measure_scores"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one pass gives.

    Attributes:
        ranking: how each query did.
        true_positive_rates: 0 to 1 by false positive rate, see ``verification.py``; None without pairs.
        detection_rates: 0 to 1 by false alarm rate, every second person being absent, see ``open_set.py``;
            None where nobody is absent or nobody present.
        absent_queries: queries of absent people, on whom ``detection_rates`` set the threshold.
        single_shot: float64 [20], percent, the match curve over trials, see ``single_shot.py``; None where
            no trials were asked for.
    """

    ranking: Ranking
    true_positive_rates: dict[float, float | None]
    detection_rates: dict[float, float | None]
    absent_queries: int
    single_shot: npt.NDArray[np.float64] | None


def measure_scores(
    blocks: Iterable[npt.NDArray[np.floating]],
    query_people: npt.ArrayLike,
    query_cameras: npt.ArrayLike,
    gallery_people: npt.ArrayLike,
    gallery_cameras: npt.ArrayLike,
    *,
    camera_rule: bool,
    trials: int = 0,
) -> Measured:
    """Measure scores [b, G] that arrive in blocks of queries, in order; see :func:`rank` for the arguments.

    Args:
        trials: single-shot trials; 0 for none.

    Raises:
        ValueError: shapes do not fit, or a score is not a number.
    """
    labels = (query_people, query_cameras, gallery_people, gallery_cameras)
    verification = Verification(FALSE_POSITIVE_RATES, *labels, camera_rule=camera_rule)
    open_set = OpenSet(absent_people(query_people), *labels, camera_rule=camera_rule)
    watched = open_set.watch(verification.watch(blocks))
    single_shot = SingleShot(trials, *labels, camera_rule=camera_rule) if trials else None
    if single_shot is not None:
        watched = single_shot.watch(watched)
    ranking = rank(watched, *labels, camera_rule=camera_rule)
    return Measured(
        ranking,
        verification.rates(),
        open_set.rates(),
        open_set.absent_queries,
        None if single_shot is None else single_shot.cmc(),
    )
