"""How right the grader is, where the truth is known."""

from __future__ import annotations

import numpy as np

from training.evaluation.results import Types


def test_the_graders_accuracy_counts_by_what_it_says() -> None:
    types = Types(graded=np.array([0, 0, 0, 4, 4, 2]), drawn=np.array([0, 0, 4, 4, 3, 4]))
    assert types.accuracy() == 0.5
    assert types.accuracy(0) == 2 / 3
    assert types.accuracy(4) == 0.5
    assert types.accuracy(2) == 0.0
    assert types.accuracy(7) is None


def test_without_truth_or_grader_there_is_no_accuracy() -> None:
    codes = np.array([0, 4])
    assert Types(codes, None).accuracy() is None
    assert Types(None, codes).accuracy() is None
