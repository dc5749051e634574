from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.nearest import nearest


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 14))
def test_nearest_equals_a_stable_sort(seed: int, columns: int, k: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, (5, columns)).astype(np.float32)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert nearest(scores, k).tolist() == expected.tolist()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(120, 900), st.integers(1, 6), st.sampled_from([3, 60, 10**6]))
def test_many_columns_are_searched_by_groups_with_the_same_answer(
    seed: int, columns: int, k: int, values: int
) -> None:
    scores = np.random.default_rng(seed).integers(0, values, (4, columns)).astype(np.float32)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert nearest(scores, k).tolist() == expected.tolist()
