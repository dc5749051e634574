from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from training.evaluation.verification import Verification

RATES = (0.0, 0.1, 0.25, 0.5)


@settings(deadline=None)
@given(st.integers(0, 2**31), st.booleans(), st.booleans())
def test_rates_equal_the_definition(seed: int, camera_rule: bool, small: bool) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 8, (5, 12)) / 8
    labels = [generator.integers(0, 3, n) for n in (5, 5, 12, 12)]
    verification = Verification(RATES, *labels, camera_rule=camera_rule)
    list(verification.watch([scores[:2], scores[2:]]))
    if small:
        verification._cut()
    asked, asked_from, people, cameras = labels
    own = asked[:, None] == people
    counted = ~(own & (asked_from[:, None] == cameras) & camera_rule)
    same, different = scores[own & counted], scores[~own]
    for rate, found in verification.rates().items():
        if not len(same) or not len(different):
            assert found is None
            continue
        thresholds = [-1.0, *np.unique(scores)]
        allowed = [t for t in thresholds if (different > t).sum() <= rate * len(different)]
        assert found == pytest.approx((same > min(allowed)).mean())


def test_scores_of_different_people_that_cannot_decide_are_forgotten() -> None:
    queries, gallery = 600, 5000
    generator = np.random.default_rng(0)
    scores = generator.random((queries, gallery)).astype(np.float32)
    asked, people = np.zeros(queries, int), np.r_[0, np.ones(gallery - 1, int)]
    verification = Verification((1e-3,), asked, asked, people, people, camera_rule=False)
    list(verification.watch(iter(np.split(scores, 6))))
    assert sum(map(len, verification._highest)) < scores.size / 2
    threshold = np.sort(scores[:, 1:].ravel())[::-1][int(1e-3 * scores[:, 1:].size)]
    assert verification.rates() == {1e-3: pytest.approx((scores[:, 0] > threshold).mean())}


def test_rates_lie_on_scikit_learns_curve() -> None:
    generator = np.random.default_rng(1)
    asked, people = generator.integers(0, 20, 40), generator.integers(0, 20, 300)
    same = asked[:, None] == people
    scores = generator.normal(size=same.shape) + 2 * same
    zeros = np.zeros_like
    verification = Verification((0.01, 0.1), asked, zeros(asked), people, zeros(people), camera_rule=False)
    list(verification.watch([scores]))
    false_positives, true_positives, _ = metrics.roc_curve(same.ravel(), scores.ravel())
    for rate, found in verification.rates().items():
        assert found == pytest.approx(true_positives[false_positives <= rate].max(), abs=1e-9)


def test_without_pairs_there_is_no_rate() -> None:
    verification = Verification((0.1,), [1], [1], [2], [2], camera_rule=True)
    list(verification.watch([np.zeros((1, 1))]))
    assert verification.rates() == {0.1: None}
    with pytest.raises(ValueError, match="false positive rates"):
        Verification((1.0,), [1], [1], [2], [2], camera_rule=True)
