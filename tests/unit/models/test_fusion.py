from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import occlusion
from models.fusion import (
    FLOOR,
    PRIOR,
    TEMPERATURE,
    Cohort,
    centred_cosines,
    code_weights,
    fuse,
    fused_scores,
)

Features = np.ndarray

EVEN = np.full((1, 9), 1 / 9)


def features(seed: int, count: int, dimension: int = 6, shift: float = 0.0) -> Features:
    """Unit vectors [count, 9, dimension]; ``shift`` gives them something in common."""
    drawn = np.random.default_rng(seed).standard_normal((count, occlusion.COUNT, dimension)) + shift
    return (drawn / np.linalg.norm(drawn, axis=2, keepdims=True)).astype(np.float32)


def by_hand(query: Features, gallery: Features, mean: Features, weights: np.ndarray) -> np.ndarray:
    """The definition, one pair and one code at a time."""
    scores = np.empty((len(query), len(gallery)))
    for q, asked in enumerate(query.astype(np.float64)):
        for i, answer in enumerate(gallery.astype(np.float64)):
            total = 0.0
            for code in range(occlusion.COUNT):
                left, right = asked[code] - mean[code], answer[code] - mean[code]
                cosine = left @ right / np.linalg.norm(left) / np.linalg.norm(right)
                total += weights[q, code] * math.exp(cosine / TEMPERATURE)
            scores[q, i] = TEMPERATURE * math.log(total)
    return scores


def test_two_codes_worked_by_hand() -> None:
    # Under code 0 the two are opposite the cohort's mean alike, under all others they have nothing in common.
    mean = np.zeros((9, 2), np.float32)
    mean[0] = (0.6, 0.0)
    query, gallery = np.zeros((1, 9, 2), np.float32), np.zeros((1, 9, 2), np.float32)
    query[0, :, 0], gallery[0, :, 1] = 1.0, 1.0
    # code 0: (0.4, 0) and (-0.6, 1): -0.24 / (0.4 · sqrt(1.36)); the others: 0
    centred = -0.6 / math.sqrt(1.36)
    expected = TEMPERATURE * math.log((math.exp(centred / TEMPERATURE) + 8) / 9)
    assert fused_scores(query, gallery, mean, EVEN)[0, 0] == pytest.approx(expected, abs=1e-6)


def test_scores_are_the_definition_pair_by_pair() -> None:
    query, gallery = features(1, 4, shift=0.5), features(2, 7, shift=0.5)
    mean = Cohort.of(gallery).mean()
    weights = code_weights(np.random.default_rng(3).dirichlet(np.ones(4), 4), 4)
    found = fused_scores(query, gallery, mean, weights)
    assert found == pytest.approx(by_hand(query, gallery, mean, weights), abs=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_gallery_order_and_bounds(seed: int, count: int) -> None:
    query, gallery = features(seed, 3), features(seed + 1, count)
    order = np.random.default_rng(seed).permutation(count)
    weights = code_weights(None, 3)
    scores = fused_scores(query, gallery, Cohort.of(gallery).mean(), weights)
    shuffled = fused_scores(query, gallery[order], Cohort.of(gallery[order]).mean(), weights)
    assert shuffled == pytest.approx(scores[:, order], abs=1e-5)
    assert (np.abs(scores) <= 1 + 1e-6).all()


def test_swapping_sides_transposes_the_scores() -> None:
    query, gallery = features(1, 4), features(2, 4)
    mean = Cohort.of(np.concatenate([query, gallery])).mean()
    weights = code_weights(None, 4)
    forwards = fused_scores(query, gallery, mean, weights)
    assert forwards == pytest.approx(fused_scores(gallery, query, mean, weights).T, abs=1e-5)


def test_what_a_code_does_to_every_picture_alike_does_not_count() -> None:
    """Under code 2 everything looks like one direction: the plain cosines are near 1, the fused not."""
    query, gallery = features(1, 1, 32), features(2, 200, 32)
    common = np.eye(32, dtype=np.float32)[0] * 8
    for side in (query, gallery):
        side[:, 2] += common
        side[:, 2] /= np.linalg.norm(side[:, 2], axis=1, keepdims=True)
    assert (query[:, 2] @ gallery[:, 2].T).min() > 0.9
    mean = Cohort.of(gallery).mean(prior=0)
    centred = centred_cosines(
        query.transpose(1, 0, 2) @ gallery.transpose(1, 2, 0),
        np.einsum("qud,ud->uq", query, mean),
        np.einsum("gud,ud->ug", gallery, mean),
        (mean**2).sum(axis=1),
    )
    assert abs(float(centred[2].mean())) < 0.1


def test_low_temperature_takes_the_best_code_and_high_the_weighted_mean() -> None:
    cosines = np.random.default_rng(0).uniform(-1, 1, (9, 2, 5)).astype(np.float32)
    weights = code_weights(np.array([[1, 0, 0, 0], [0.25] * 4]), 2)
    assert fuse(cosines, weights, 1e-3) == pytest.approx(cosines.max(axis=0), abs=0.01)
    mean = np.einsum("qu,uqg->qg", weights, cosines)
    assert fuse(cosines, weights, 1e3) == pytest.approx(mean, abs=2e-3)


def test_the_code_that_the_grader_would_answer_weighs_most() -> None:
    ideal = {"none": [0.25] * 4, "bottom_quarter": [0.125, 0.625, 0.125, 0.125], "left_half": [0, 0, 1, 0]}
    weights = code_weights(np.array(list(ideal.values())), 3)
    assert [occlusion.NAMES[code] for code in weights.argmax(axis=1)] == list(ideal)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights.min() >= FLOOR / 9
    assert code_weights(None, 2).tolist() == [[x / 16 for x in (4, 2, 1, 2, 1, 2, 1, 2, 1)]] * 2


def test_an_empty_gallery_is_no_cohort_and_a_single_picture_hardly_one() -> None:
    assert not Cohort.of(features(1, 0)).mean().any()
    assert not Cohort.of(features(1, 0)).mean(prior=0).any()
    query, gallery = features(1, 1), features(2, 1)
    mean = Cohort.of(gallery).mean()
    assert mean == pytest.approx(gallery[0] / (1 + PRIOR), abs=1e-6)
    score = fused_scores(query, gallery, mean, EVEN)
    plain = fused_scores(query, gallery, np.zeros_like(mean), EVEN)
    assert score == pytest.approx(plain, abs=0.15)
    assert fused_scores(query, features(2, 0), mean, EVEN).shape == (1, 0)


def test_a_picture_that_is_the_mean_itself_scores_nothing_instead_of_failing() -> None:
    gallery = np.repeat(features(1, 1), 3, axis=0)
    mean = Cohort.of(gallery).mean(prior=0)
    assert fused_scores(gallery[:1], gallery, mean, EVEN) == pytest.approx(0, abs=1e-6)
