from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.multi_query import Labelled, pool

QUERY = Labelled(np.array([[1, 0], [0, 1], [1, 0]], np.float32), np.array([7, 3, 7]), np.array([2, 1, 2]))
GALLERY = Labelled(np.array([[0, 1], [0, -1]], np.float32), np.array([7, 7]), np.array([2, 1]))


def test_a_person_asks_once_a_camera_in_the_order_of_first_pictures() -> None:
    pooled = pool(QUERY, GALLERY, camera_rule=False)
    assert (pooled.people.tolist(), pooled.cameras.tolist()) == ([7, 3], [2, 1])
    np.testing.assert_allclose(pooled.features, [[1, 0], [0, 1]])


def test_what_the_camera_rule_ignores_is_pooled_too() -> None:
    pooled = pool(QUERY, GALLERY, camera_rule=True)
    expected = np.array([2 / 3, 1 / 3]) / np.hypot(2 / 3, 1 / 3)
    np.testing.assert_allclose(pooled.features[0], expected, rtol=1e-6)


def test_pooling_by_maximum() -> None:
    pooled = pool(QUERY, GALLERY, camera_rule=True, pooling="maximum")
    np.testing.assert_allclose(pooled.features[0], np.array([1, 1]) / np.sqrt(2), rtol=1e-6)


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one person and one camera"):
        Labelled(np.zeros((2, 3)), np.zeros(1, np.int64), np.zeros(2, np.int64))
