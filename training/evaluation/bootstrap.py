"""How sure a figure is: bootstrap intervals over queries, and a paired test of two models. No torch.

Queries are drawn again with replacement, as many as there are, and every figure is computed on each draw;
the interval holds the middle 95 % of the draws (percentile bootstrap, Efron and Tibshirani 1993, §13.3).
Queries of one person are taken as independent, which they are not quite: the intervals are, if anything, too
narrow.

Two models that answered the same queries are compared by the difference of their average precision, query by
query. Were they equally good, each difference might as well have the other sign: the p-value is the share of
random sign flips whose mean is as far from 0 as the one observed (paired permutation test, two-sided; Smucker
et al. 2007, "A comparison of statistical significance tests for information retrieval evaluation"). With the
observed one counted among them it is never 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.evaluation.ranking import Ranking

__all__ = ["Comparison", "Interval", "compare_rankings", "intervals"]

_BLOCK = 256
"""Draws at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with the confidence asked for: both ends in percent."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model against another on the same queries.

    Attributes:
        difference: mAP of the first less that of the second, percentage points.
        interval: of the difference, by the bootstrap over queries.
        p: two-sided, of the paired permutation test on average precision.
        queries: how many have a match.
    """

    difference: float
    interval: Interval
    p: float
    queries: int


def intervals(
    ranking: Ranking, *, draws: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[str, Interval]:
    """Intervals of ``rank1``, ``rank5``, ``rank10``, ``rank20``, ``map`` and ``minp``.

    Queries without a match are left out, as they are of the figures.

    Raises:
        ValueError: no query has a match, or ``draws`` or ``confidence`` is out of range.
    """
    counted = ranking.first_match > 0
    names = ("rank1", "rank5", "rank10", "rank20", "map", "minp")
    values = np.stack(
        [(ranking.first_match <= k).astype(np.float64) for k in (1, 5, 10, 20)]
        + [ranking.average_precision, ranking.inverse_penalty],
        axis=1,
    )[counted]
    low, high = _ends(_means(values, draws, seed), confidence)
    return {
        name: Interval(100 * float(a), 100 * float(b)) for name, a, b in zip(names, low, high, strict=True)
    }


def compare_rankings(
    first: Ranking,
    second: Ranking,
    *,
    draws: int = 1000,
    permutations: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Whether one model's average precision differs from another's by more than chance.

    Raises:
        ValueError: the two did not answer the same queries, or none has a match.
    """
    counted = first.first_match > 0
    if counted.shape != second.first_match.shape or (counted != (second.first_match > 0)).any():
        raise ValueError("the two models did not answer the same queries")
    differences = (first.average_precision - second.average_precision)[counted]
    low, high = _ends(_means(differences[:, None], draws, seed), confidence)
    observed = abs(differences.sum())
    generator = np.random.default_rng(seed)
    # Sums of the same terms in another order differ in the last bits; a flip that changes nothing must count.
    slack = 1e-9 * np.abs(differences).sum()
    extreme = 0
    for number in _in_blocks(permutations):
        signs = generator.integers(0, 2, (number, len(differences)), dtype=np.int8) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ differences) >= observed - slack))
    return Comparison(
        100 * float(differences.mean()),
        Interval(100 * float(low[0]), 100 * float(high[0])),
        (extreme + 1) / (permutations + 1),
        len(differences),
    )


def _means(values: npt.NDArray[np.float64], draws: int, seed: int) -> npt.NDArray[np.float64]:
    """Means [draws, n] of values [Q, n] over queries drawn again."""
    if not len(values):
        raise ValueError("no query has a match in the gallery: there is nothing to draw from")
    if draws < 1:
        raise ValueError(f"the bootstrap needs at least one draw, not {draws}")
    generator = np.random.default_rng(seed)
    means = []
    for number in _in_blocks(draws):
        chosen = generator.integers(0, len(values), (number, len(values)))
        means.append(np.stack([values[rows].mean(axis=0) for rows in chosen]))
    return np.concatenate(means)


def _ends(
    means: npt.NDArray[np.float64], confidence: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    outside = (1 - confidence) / 2
    low, high = np.quantile(means, [outside, 1 - outside], axis=0)
    return low, high


def _in_blocks(number: int) -> Iterator[int]:
    """Sizes of the blocks that ``number`` draws are made in."""
    for start in range(0, number, _BLOCK):
        yield min(_BLOCK, number - start)
