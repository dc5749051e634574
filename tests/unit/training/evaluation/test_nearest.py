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
