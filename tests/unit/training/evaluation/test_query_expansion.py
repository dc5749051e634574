from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.distances import COSINE, EUCLIDEAN
from training.evaluation.query_expansion import Expansion, expand


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


QUERY = unit(1, 0, 0)[None]
GALLERY = np.stack([unit(0, 0, 1), unit(0.8, 0.6, 0), unit(0.6, 0.8, 0)])


def test_hand_worked_average() -> None:
    expected = unit(1 + 0.8 + 0.6, 0.6 + 0.8, 0)
    np.testing.assert_allclose(expand(QUERY, GALLERY, Expansion(neighbours=2))[0], expected, atol=1e-6)


def test_hand_worked_alpha() -> None:
    expected = unit(1 + 0.8 * 0.8**2 + 0.6 * 0.6**2, 0.6 * 0.8**2 + 0.8 * 0.6**2, 0)
    found = expand(QUERY, GALLERY, Expansion("alpha", neighbours=2, alpha=2.0), EUCLIDEAN)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_alpha_of_zero_is_the_average() -> None:
    generator = np.random.default_rng(0)
    query, gallery = COSINE.prepare(generator.random((6, 8))), COSINE.prepare(generator.random((30, 8)))
    average = expand(query, gallery, Expansion(neighbours=4))
    np.testing.assert_allclose(expand(query, gallery, Expansion("alpha", 4, 0.0)), average, atol=1e-6)


def test_more_neighbours_than_pictures_take_all() -> None:
    np.testing.assert_allclose(
        expand(QUERY, GALLERY, Expansion(neighbours=9)), expand(QUERY, GALLERY, Expansion(neighbours=3))
    )


def test_nothing_to_expand_with_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one neighbour"):
        Expansion(neighbours=0)
