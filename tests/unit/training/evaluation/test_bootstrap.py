from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from training.evaluation.bootstrap import compare_rankings, intervals
from training.evaluation.ranking import Ranking, summarise


def of(precision: npt.ArrayLike) -> Ranking:
    values = np.asarray(precision, dtype=np.float64)
    first = np.where(values > 0, np.maximum(1, np.round(1 / np.maximum(values, 1e-3))), 0)
    return Ranking(first.astype(np.int64), values, values, 1000)


def test_intervals_hold_the_figure_and_narrow_with_more_queries() -> None:
    generator = np.random.default_rng(0)
    few, many = of(generator.random(50) + 1e-3), of(generator.random(5000) + 1e-3)
    for ranking in (few, many):
        summary = summarise(ranking)
        for name, interval in intervals(ranking, draws=400).items():
            assert interval.low <= getattr(summary, name) <= interval.high
    few_map, many_map = (intervals(ranking, draws=400)["map"] for ranking in (few, many))
    assert many_map.high - many_map.low < (few_map.high - few_map.low) / 4


def test_the_interval_is_the_normal_one_where_queries_are_many() -> None:
    values = np.random.default_rng(1).random(2000)
    found = intervals(of(values), draws=4000)["map"]
    half = 196 * values.std() / np.sqrt(len(values))
    assert found.low == pytest.approx(100 * values.mean() - half, abs=0.1)
    assert found.high == pytest.approx(100 * values.mean() + half, abs=0.1)


def test_same_seed_same_interval_and_queries_without_a_match_are_left_out() -> None:
    values = np.random.default_rng(2).random(60) + 1e-3
    assert intervals(of(values), draws=50) == intervals(of([*values, 0.0, 0.0]), draws=50)


def test_a_model_against_itself_is_no_difference() -> None:
    ranking = of(np.random.default_rng(0).random(100) + 1e-3)
    comparison = compare_rankings(ranking, ranking, permutations=500)
    assert (comparison.difference, comparison.p) == (0.0, 1.0)


def test_hand_worked_permutations() -> None:
    # Three differences of the same sign: of 8 sign patterns 2 are as extreme, so that p is about 1/4.
    comparison = compare_rankings(of([0.9, 0.8, 0.7]), of([0.5, 0.5, 0.5]), permutations=20_000)
    assert comparison.difference == pytest.approx(30.0)
    assert comparison.p == pytest.approx(0.25, abs=0.015)


def test_a_small_steady_gain_is_significant_and_noise_is_not() -> None:
    generator = np.random.default_rng(3)
    base = generator.random(300) * 0.8 + 0.1
    better = of(base + 0.02 + 0.01 * generator.normal(size=300))
    assert compare_rankings(better, of(base), permutations=999).p == pytest.approx(0.001)
    assert compare_rankings(better, of(base)).interval.low > 0
    p = [
        compare_rankings(of(base + 0.01 * generator.normal(size=300)), of(base), permutations=400, draws=1).p
        for _ in range(40)
    ]
    assert np.mean(np.array(p) < 0.1) < 0.3


def test_rankings_of_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="same queries"):
        compare_rankings(of([0.5, 0.5]), of([0.5]))
    with pytest.raises(ValueError, match="same queries"):
        compare_rankings(of([0.5, 0.0]), of([0.5, 0.5]))
    with pytest.raises(ValueError, match="nothing to draw from"):
        intervals(of([0.0]))
