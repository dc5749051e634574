from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.distances import EUCLIDEAN, Distance, Name, fit
from training.evaluation.metric_learning.kissme import fit_kissme
from training.evaluation.metric_learning.pair_covariances import pair_covariances
from training.evaluation.metric_learning.xqda import fit_xqda
from training.evaluation.ranking import rank, summarise

Set = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def by_pairs(data: Set, across: bool) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int, int]:
    """Both covariances by going through all pairs."""
    features, people, cameras = data
    kinds: tuple[list[npt.NDArray[np.float64]], ...] = ([], [])
    for i, j in combinations(range(len(features)), 2):
        if across and cameras[i] == cameras[j]:
            continue
        difference = features[i] - features[j]
        kinds[int(people[i] != people[j])].append(np.outer(difference, difference))
    return np.mean(kinds[0], axis=0), np.mean(kinds[1], axis=0), len(kinds[0]), len(kinds[1])


def gaussians(people: int, seed: int) -> Set:
    """People differ in three of twenty directions; cameras and chance in all, in some far more."""
    generator = np.random.default_rng(seed)
    mixing = np.linalg.qr(np.random.default_rng(99).normal(size=(20, 20)))[0]
    noise = np.concatenate([np.full(3, 0.2), np.full(7, 2.0), np.full(10, 0.3)])
    person, camera = np.repeat(np.arange(people), 4), np.tile([0, 0, 1, 1], people)
    identity = np.zeros((people, 20))
    identity[:, :3] = generator.normal(size=(people, 3))
    features = identity[person] + generator.normal(size=(len(person), 20)) * noise
    return features @ mixing, person, camera


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.booleans())
def test_covariances_equal_those_of_all_pairs_one_by_one(seed: int, across: bool) -> None:
    generator = np.random.default_rng(seed)
    people, cameras = generator.integers(0, 3, 12), generator.integers(0, 2, 12)
    people[:3], cameras[:3] = [0, 0, 1], [0, 1, 0]
    data = (generator.normal(size=(12, 3)), people, cameras)
    found = pair_covariances(*data, across_cameras=across)
    same, different, same_pairs, different_pairs = by_pairs(data, across)
    assert (found.same_pairs, found.different_pairs) == (same_pairs, different_pairs)
    np.testing.assert_allclose(found.same, same, atol=1e-9)
    np.testing.assert_allclose(found.different, different, atol=1e-9)


def test_kissme_equals_the_dense_solution() -> None:
    data = gaussians(30, 1)
    same, different, *_ = by_pairs(data, across=True)
    values, vectors = np.linalg.eigh(np.linalg.inv(same) - np.linalg.inv(different))
    expected = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
    projection = fit_kissme(*data, ridge=0.0).astype(np.float64)
    np.testing.assert_allclose(projection @ projection.T, expected, rtol=1e-3, atol=1e-4)


def test_xqda_equals_the_dense_solution() -> None:
    data = gaussians(30, 1)
    same, different, *_ = by_pairs(data, across=True)
    within = same + 0.01 * np.eye(20)
    values, vectors = np.linalg.eig(np.linalg.inv(within) @ different)
    subspace = np.real(vectors[:, np.real(values) > 1])
    inner = np.linalg.inv(subspace.T @ within @ subspace) - np.linalg.inv(subspace.T @ different @ subspace)
    projection = fit_xqda(*data, regulariser=0.01).astype(np.float64)
    assert projection.shape == subspace.shape
    np.testing.assert_allclose(projection @ projection.T, subspace @ inner @ subspace.T, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["xqda", "kissme"])
def test_learned_distances_beat_the_euclidean_on_other_people(name: Name) -> None:
    def measured(distance: Distance) -> float:
        features, people, cameras = gaussians(100, 2)
        query, gallery = np.arange(0, 400, 4), np.flatnonzero(cameras == 1)
        blocks = distance.scores(features[query], features[gallery])
        labels = (people[query], cameras[query], people[gallery], cameras[gallery])
        return summarise(rank(blocks, *labels, camera_rule=True)).map

    assert measured(fit(name, *gaussians(200, 1))) > measured(EUCLIDEAN) + 20


@pytest.mark.parametrize("learn", [fit_xqda, fit_kissme])
def test_order_of_the_training_half_does_not_matter(learn: object) -> None:
    features, people, cameras = gaussians(30, 1)
    order = np.random.default_rng(0).permutation(len(features))
    one = learn(features, people, cameras)  # type: ignore[operator]
    other = learn(features[order], people[order], cameras[order])  # type: ignore[operator]
    np.testing.assert_allclose(one @ one.T, other @ other.T, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("learn", [fit_xqda, fit_kissme])
def test_fewer_pictures_than_dimensions_still_give_a_distance(learn: object) -> None:
    features, people, cameras = gaussians(4, 1)
    projection = learn(features, people, cameras)  # type: ignore[operator]
    assert np.isfinite(projection).all()
    assert projection.shape[1] >= 1


def test_a_training_half_without_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="no two pictures from two cameras"):
        pair_covariances(np.zeros((2, 3)), [1, 1], [1, 1])
    with pytest.raises(ValueError, match="nothing to learn"):
        fit_kissme(np.zeros((4, 3)), [1, 1, 2, 2], [1, 2, 1, 2])
