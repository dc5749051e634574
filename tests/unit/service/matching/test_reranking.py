from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from models import fusion, occlusion
from service.matching.fused import pair_scores
from service.matching.reranking import reranked_distances, unified_scores
from training.evaluation.reranking import KReciprocal, rerank


def units(shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    """Unit vectors around three centres."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(3, shape[-1]))
    vectors = centres[generator.integers(0, 3, shape[:-1])] + 0.5 * generator.normal(size=shape)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("number", "k1", "k2", "original"),
    [(60, 20, 6, 0.3), (100, 7, 3, 0.0), (30, 5, 1, 0.5), (8, 20, 6, 0.3), (1, 20, 6, 0.3)],
)
def test_distances_are_those_of_the_evaluation(number: int, k1: int, k2: int, original: float) -> None:
    vectors = units((number + 1, 6), number)
    query, gallery = vectors[:1], vectors[1:]
    (expected,) = rerank(query, gallery, KReciprocal(k1, k2, original))
    found = reranked_distances(gallery @ query[0], gallery @ gallery.T, k1, k2, original)
    np.testing.assert_allclose(found, -expected[0], atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_among_many_pictures_alike_each_is_its_own_nearest(seed: int) -> None:
    """Stored in float16 some are longer than 1, so that more than k1 lie at distance 0 from each other."""
    generator = np.random.default_rng(seed)
    one = generator.normal(size=64)
    vectors = np.concatenate(
        [one / np.linalg.norm(one) + generator.normal(0, 1e-4, (61, 64)), generator.normal(size=(40, 64))]
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    stored = vectors.astype(np.float16).astype(np.float32)
    query, gallery = stored[0], stored[1:]
    found = reranked_distances(gallery @ query, gallery @ gallery.T)
    assert np.isfinite(found).all()
    assert found[:60].max() < found[60:].min()
    (evaluated,) = rerank(query[None], gallery, KReciprocal())
    assert np.isfinite(evaluated).all()


def test_pictures_are_compared_where_both_can_be_seen() -> None:
    features = units((7, occlusion.COUNT, 5), 3)
    codes = np.array([0, 4, 4, 7, 0, 1, 7])
    expected = [[features[i, codes[j]] @ features[j, codes[i]] for j in range(7)] for i in range(7)]
    np.testing.assert_allclose(unified_scores(features, codes), expected, atol=1e-6)


def test_fused_scores_among_pictures_are_the_mean_of_both_directions() -> None:
    features = units((6, occlusion.COUNT, 5), 4)
    grades = np.random.default_rng(5).dirichlet(np.ones(4), 6).astype(np.float32)
    cohort = fusion.Cohort.of(units((40, occlusion.COUNT, 5), 6))
    centred = features - cohort.mean()
    centred /= np.linalg.norm(centred, axis=2, keepdims=True)
    one_way = fusion.fuse(np.einsum("iud,jud->uij", centred, centred), fusion.code_weights(grades, 6))
    np.testing.assert_allclose(
        pair_scores(features, grades, cohort.mean()), (one_way + one_way.T) / 2, atol=1e-5
    )
