from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from training.evaluation import distances
from training.evaluation.distances import COSINE, EUCLIDEAN, Distance, fit


def random(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_cosine_and_euclidean_equal_their_definitions() -> None:
    query, gallery = random(7, 5), random(9, 5, seed=1)
    cosine = np.concatenate(list(COSINE.scores(query, gallery, rows=3)))
    lengths = np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(gallery, axis=1)
    np.testing.assert_allclose(cosine, query @ gallery.T / lengths, atol=1e-6)
    euclidean = np.concatenate(list(EUCLIDEAN.scores(query, gallery, rows=3)))
    np.testing.assert_allclose(-euclidean, ((query[:, None] - gallery) ** 2).sum(-1), atol=1e-4)


def test_learned_distance_is_the_quadratic_form() -> None:
    query, gallery, projection = random(4, 6), random(8, 6, seed=1), random(6, 3, seed=2)
    scores = np.concatenate(list(Distance("xqda", projection).scores(query, gallery)))
    difference = query[:, None] - gallery
    expected = np.einsum("qgi,ij,qgj->qg", difference, projection @ projection.T, difference)
    np.testing.assert_allclose(-scores, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("distance", [COSINE, EUCLIDEAN, Distance("kissme", random(6, 3))])
def test_blocks_and_parts_of_the_gallery_change_nothing(
    distance: Distance, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, gallery = random(11, 6), random(50, 6, seed=1)
    whole = np.concatenate(list(distance.scores(query, gallery)))
    monkeypatch.setattr(distances, "_PART", 6 * 7)
    monkeypatch.setattr(distances, "KEPT", 0)
    in_parts = list(distance.scores(query, gallery, rows=4))
    assert [len(block) for block in in_parts] == [4, 4, 3]
    np.testing.assert_allclose(np.concatenate(in_parts), whole, atol=1e-5)


def test_a_memory_mapped_gallery_is_scored_without_the_whole_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries, pictures, dimension = 400, 20_000, 16
    gallery = np.memmap(tmp_path / "gallery", np.float32, "w+", shape=(pictures, dimension))
    gallery[:] = random(pictures, dimension)
    monkeypatch.setattr(distances, "_SCORES", 2**18)
    monkeypatch.setattr(distances, "_PART", 2**14)
    monkeypatch.setattr(distances, "KEPT", 0)
    tracemalloc.start()
    rows = sum(len(block) for block in EUCLIDEAN.scores(random(queries, dimension), gallery))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == queries
    assert peak < queries * pictures * 4 / 6


def test_a_feature_of_length_zero_is_like_nothing() -> None:
    assert next(COSINE.scores(np.zeros((1, 3)), random(2, 3))).tolist() == [[0.0, 0.0]]


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="features must be"):
        next(COSINE.scores(random(2, 3), random(2, 4)))


def test_learned_distances_need_a_training_half() -> None:
    with pytest.raises(ValueError, match="has none"):
        fit("kissme", np.zeros((0, 3)), [], [])
    assert fit("euclidean", np.zeros((0, 3)), [], []) == EUCLIDEAN


def test_one_camera_alone_still_gives_pairs() -> None:
    features, people = random(40, 4), np.repeat(np.arange(10), 4)
    features += 5 * random(10, 4, seed=3)[people]
    assert fit("xqda", features, people, np.zeros(40, int)).projection is not None
