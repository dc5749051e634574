"""Fit evidence to scores: one line a pair of occlusion types, each held near a more general one. No torch.

Platt scaling (Platt 1999) is logistic regression on the score alone. Three levels: one line for all pairs,
one for each pair of hidden areas (whole, a quarter, a half), one for each of the 45 pairs of types. A line
of a level is drawn towards its parent as if one person's worth of evidence stood behind the parent: slope
and offset, on scores of unit deviation, have a normal prior of deviation 1 around it, against the mean loss
of the people seen. So a pair with few people, or none, speaks with its parent's voice.

Pairs of one person and pairs of different people weigh 1 to 9 in the loss, whatever their number: near the
top of a rank list strangers prevail, at even odds few of those fitted would be near it. On validation
people straight lines did as well as beta calibration and as piecewise lines. scikit-learn's logistic
regression draws towards zero only; Newton's method for two numbers is short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion
from models.calibration import PAIRS, Line, Strangers
from training.calibration.pairs import Pairs

__all__ = ["AREAS", "Lines", "area_names", "fit_lines", "measure_strangers"]

PRIOR: Final = 0.1
"""Weight of the pairs of one person in the loss."""

RATES: Final = tuple(m * 10.0**-p for p in range(1, 8) for m in (5, 2, 1))
"""Shares of the strangers' pairs whose evidence is written down, as far as the pairs reach."""

_LEAST_PAIRS: Final = 50
"""A share is written down only where so many pairs lie above."""

_LEAST_SLOPE: Final = 1e-3
_STEPS: Final = 100

_HIDDEN = [occlusion.TYPES[code].area for code in range(occlusion.COUNT)]
_AREA_PAIRS: Final = sorted({tuple(sorted((_HIDDEN[low], _HIDDEN[high]))) for low, high in PAIRS})
AREAS: Final[npt.NDArray[np.int64]] = np.array(
    [_AREA_PAIRS.index(tuple(sorted((_HIDDEN[low], _HIDDEN[high])))) for low, high in PAIRS], dtype=np.int64
)
"""int64 [45]: which pair of hidden areas each pair of types has, 0 to 5."""


def area_names() -> list[str]:
    """Names of the six pairs of hidden areas, e.g. ``"0.25+0.5"``."""
    return [f"{low:g}+{high:g}" for low, high in _AREA_PAIRS]


@dataclass(frozen=True, slots=True)
class Lines:
    """What was fitted, in terms of the score itself.

    Attributes:
        single: float64 [2], slope and offset of all pairs together.
        typed: float64 [45, 2], of each pair of types.
    """

    single: npt.NDArray[np.float64]
    typed: npt.NDArray[np.float64]

    def evidence(self, pairs: Pairs) -> npt.NDArray[np.float64]:
        """Evidence of each pair by its types' line, float64 [P]."""
        slope, offset = self.typed[pairs.kinds].T
        answer: npt.NDArray[np.float64] = slope * pairs.scores + offset
        return answer

    def single_evidence(self, pairs: Pairs) -> npt.NDArray[np.float64]:
        """Evidence of each pair by the one line of all, float64 [P]."""
        answer: npt.NDArray[np.float64] = self.single[0] * pairs.scores.astype(np.float64) + self.single[1]
        return answer

    def named(self) -> list[Line]:
        """As they are stored."""
        return [
            Line(
                types=(occlusion.NAMES[low], occlusion.NAMES[high]), slope=float(slope), offset=float(offset)
            )
            for (low, high), (slope, offset) in zip(PAIRS, self.typed, strict=True)
        ]


def fit_lines(pairs: Pairs, people: npt.NDArray[np.int64]) -> Lines:
    """Fit all lines.

    Args:
        people: int64 [n], whom each picture of the pool shows.

    Raises:
        ValueError: there is no pair of one person, or none of different people.
    """
    same = pairs.same
    if not same.any() or same.all():
        raise ValueError("a calibration needs pairs of one person and pairs of different people")
    scores = pairs.scores.astype(np.float64)
    middle, spread = float(scores[~same].mean()), float(scores[~same].std())
    if not spread > 0:
        raise ValueError("all pairs of different people have the same score: nothing can be learnt from it")
    scores = (scores - middle) / spread
    who = people[pairs.first]

    def fit(chosen: npt.NDArray[np.bool_], parent: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return _fit_line(scores[chosen], same[chosen], len(np.unique(who[chosen & same])), parent)

    single = fit(np.ones(len(scores), np.bool_), np.array([1.0, 0.0]))
    area_of = AREAS[pairs.kinds]
    by_area = [fit(area_of == area, single) for area in range(len(_AREA_PAIRS))]
    typed = [fit(pairs.kinds == kind, by_area[area]) for kind, area in enumerate(AREAS)]

    def unscaled(line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.array([line[0] / spread, line[1] - line[0] * middle / spread])

    return Lines(unscaled(single), np.stack([unscaled(line) for line in typed]))


def _fit_line(
    scores: npt.NDArray[np.float64],
    same: npt.NDArray[np.bool_],
    people: int,
    parent: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Slope (above 0) and offset of the least loss, float64 [2]; the parent's where nobody is seen."""
    if not people or same.all():
        return parent
    weights = np.where(same, PRIOR / same.sum(), (1 - PRIOR) / (~same).sum()) * people / PRIOR
    sign = np.where(same, 1.0, -1.0)
    before = np.log(PRIOR / (1 - PRIOR))

    def loss(line: npt.NDArray[np.float64]) -> float:
        odds = line[0] * scores + line[1] + before
        return float(weights @ np.logaddexp(0.0, -sign * odds) + 0.5 * ((line - parent) ** 2).sum())

    line, present = parent, loss(parent)
    for _ in range(_STEPS):
        chance = 0.5 * (1.0 + np.tanh(0.5 * (line[0] * scores + line[1] + before)))
        error, curve = weights * (chance - same), weights * chance * (1.0 - chance)
        gradient = np.array([error @ scores, error.sum()]) + (line - parent)
        cross = float(curve @ scores)
        curvature = np.array([[curve @ scores**2, cross], [cross, curve.sum()]]) + np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while True:  # halve until it gets better: far from the least loss, Newton's step can be too long
            tried = line - size * step
            tried[0] = max(tried[0], _LEAST_SLOPE)
            reached = loss(tried)
            if reached <= present or size < 1e-6:
                break
            size /= 2
        if present - reached <= 1e-9 * abs(present):
            break
        line, present = tried, reached
    return line


def measure_strangers(evidence: npt.NDArray[np.float64]) -> Strangers:
    """How far the evidence of pairs of different people reaches, float64 [P], at least one pair.

    Each share is exact: no more of the pairs than that exceed what is written down for it.
    """
    descending = np.sort(evidence)[::-1]
    count = len(descending)
    rates = [rate for rate in RATES if rate * count >= _LEAST_PAIRS] or [RATES[0]]
    values = [float(descending[int(rate * count)]) for rate in rates]
    beyond = descending[: int(rates[-1] * count)]
    scale = float((beyond - values[-1]).mean()) if len(beyond) else 0.0
    return Strangers(rates=rates, evidence=values, scale=scale, pairs=count)
