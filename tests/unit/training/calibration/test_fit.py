from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calibration import PAIRS, ModeCalibration, pair_of, probability
from training.calibration.fit import AREAS, area_names, fit_lines, measure_strangers
from training.calibration.held_out import expected_calibration_error, reliability
from training.calibration.pairs import Pairs

PEOPLE = np.arange(4000) // 2


def gaussian_pairs(
    generator: np.random.Generator, kinds: dict[int, tuple[float, float, float]], count: int = 2000
) -> Pairs:
    """Per kind: means of the two Gaussians and their common deviation; as many pairs of either sort."""
    scores, same, places, first = [], [], [], []
    for kind, (own, other, spread) in kinds.items():
        scores += [generator.normal(own, spread, count), generator.normal(other, spread, count)]
        same += [np.ones(count, bool), np.zeros(count, bool)]
        places.append(np.full(2 * count, kind))
        first.append(generator.integers(0, len(PEOPLE), 2 * count))
    column = np.concatenate(first)
    return Pairs(
        np.concatenate(scores).astype(np.float32),
        np.concatenate(same),
        np.concatenate(places),
        column,
        column,
    )


def test_lines_of_gaussians_are_those_of_the_textbook() -> None:
    # ln of the ratio of two Gaussians of one deviation: slope (a - b) / s², zero half-way between the means
    whole, halves = int(pair_of(0, 0)), int(pair_of(2, 2))
    pairs = gaussian_pairs(
        np.random.default_rng(1), {whole: (0.6, 0.1, 0.2), halves: (0.5, 0.3, 0.2)}, count=20_000
    )
    lines = fit_lines(pairs, PEOPLE)
    for kind, slope, middle in ((whole, 12.5, 0.35), (halves, 5.0, 0.4)):
        assert lines.typed[kind][0] == pytest.approx(slope, rel=0.05)
        assert -lines.typed[kind][1] / lines.typed[kind][0] == pytest.approx(middle, abs=0.02)


def test_a_pair_of_types_nobody_saw_speaks_as_its_areas_do() -> None:
    seen, unseen = int(pair_of(2, 2)), int(pair_of(4, 8))
    whole = int(pair_of(0, 0))
    lines = fit_lines(
        gaussian_pairs(np.random.default_rng(2), {whole: (0.6, 0.1, 0.2), seen: (0.5, 0.3, 0.2)}), PEOPLE
    )
    assert lines.typed[unseen] == pytest.approx(lines.typed[seen], rel=0.05)  # both hide two halves
    nobody = int(pair_of(0, 1))
    assert lines.typed[nobody] == pytest.approx(lines.single)


def test_few_people_move_a_line_less_than_many() -> None:
    whole, halves = int(pair_of(0, 0)), int(pair_of(2, 2))
    generator = np.random.default_rng(3)
    pairs = gaussian_pairs(generator, {whole: (0.6, 0.1, 0.2), halves: (0.4, 0.4, 0.2)})
    many = fit_lines(pairs, PEOPLE).typed[halves][0]
    few = fit_lines(pairs, PEOPLE % 2).typed[halves][0]
    whole_slope = fit_lines(pairs, PEOPLE).typed[whole][0]
    assert many < few < whole_slope


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31))
def test_slopes_are_positive_even_where_the_scores_mislead(seed: int) -> None:
    generator = np.random.default_rng(seed)
    own, other = generator.uniform(-0.5, 0.9, 2)
    pairs = gaussian_pairs(generator, {0: (own, other, 0.2), 20: (other, own, 0.1)}, count=60)
    lines = fit_lines(pairs, PEOPLE)
    assert (lines.typed[:, 0] > 0).all()
    ModeCalibration(lines=lines.named(), strangers=measure_strangers(lines.evidence(pairs)[~pairs.same]))


def test_nothing_to_learn_from_is_told_so() -> None:
    pairs = gaussian_pairs(np.random.default_rng(4), {0: (0.5, 0.1, 0.1)}, count=10)
    for chosen in (pairs.same, ~pairs.same):
        with pytest.raises(ValueError, match="needs pairs"):
            fit_lines(pairs.of(chosen), PEOPLE)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.sampled_from(["normal", "exponential", "uniform", "ties"]))
def test_thresholds_reach_the_chosen_rates(seed: int, shape: str) -> None:
    generator = np.random.default_rng(seed)
    draws: dict[str, npt.NDArray[np.float64]] = {
        "normal": generator.normal(-3, 2, 20_000),
        "exponential": generator.exponential(1.5, 20_000),
        "uniform": generator.uniform(-1, 1, 20_000),
        "ties": generator.integers(0, 7, 20_000).astype(float),
    }
    evidence = draws[shape]
    strangers = measure_strangers(evidence)
    assert strangers.rates[-1] == 0.005  # of 20,000 pairs, 100 lie above: at 0.002 only 40 would
    for rate in strangers.rates:
        share = float((evidence > strangers.threshold(rate)).mean())
        assert share <= rate
        if shape != "ties":
            assert share == pytest.approx(rate, abs=1e-4)


def test_thresholds_beyond_the_measured_pairs_hold_for_an_exponential_tail() -> None:
    generator = np.random.default_rng(5)
    strangers = measure_strangers(generator.exponential(1.5, 100_000))
    assert strangers.rates[-1] > 1e-4
    assert strangers.threshold(1e-6) == pytest.approx(1.5 * math.log(1e6), rel=0.1)


def test_every_pair_of_types_has_one_of_six_pairs_of_areas() -> None:
    assert area_names() == ["0+0", "0+0.25", "0+0.5", "0.25+0.25", "0.25+0.5", "0.5+0.5"]
    counts = np.bincount(AREAS, minlength=6)
    assert counts.tolist() == [1, 4, 4, 10, 16, 10]
    assert area_names()[AREAS[PAIRS.index((1, 2))]] == "0.25+0.5"


def test_calibration_error_worked_by_hand() -> None:
    # Two bins. Low: 0.2 twice, one of them true in two same and two different pairs weighing 1/4 each.
    probabilities, same = np.array([0.2, 0.2, 0.9, 0.7]), np.array([True, False, True, False])
    # low bin: mean 0.2, true 0.5, weight 1/2; high bin: mean 0.8, true 0.5, weight 1/2
    assert expected_calibration_error(probabilities, same, bins=2) == pytest.approx(0.5 * 0.3 + 0.5 * 0.3)
    assert reliability(probabilities, same, bins=2) == pytest.approx(np.array([[0.2, 0.8], [0.5, 0.5]]))
    # three pairs of different people for each of one person weigh no more than that one
    many = np.array([True, False, False, False])
    assert expected_calibration_error(np.full(4, 0.5), many, bins=1) == pytest.approx(0.0)


def test_a_certain_and_right_answer_has_no_error() -> None:
    same = np.array([True, False])
    assert expected_calibration_error(np.array([1.0, 0.0]), same) == 0.0
    assert expected_calibration_error(np.array([0.0, 1.0]), same) == 1.0


def test_fitted_probabilities_are_calibrated_on_new_pairs() -> None:
    kinds = {0: (0.6, 0.1, 0.2), 20: (0.5, 0.3, 0.2)}
    lines = fit_lines(gaussian_pairs(np.random.default_rng(6), kinds, 5000), PEOPLE)
    fresh = gaussian_pairs(np.random.default_rng(7), kinds, 5000)
    for kind in kinds:
        part = fresh.of(fresh.kinds == kind)
        ours = expected_calibration_error(probability(lines.evidence(part), 0.5), part.same)
        single = expected_calibration_error(probability(lines.single_evidence(part), 0.5), part.same)
        assert ours < 0.02 < single
