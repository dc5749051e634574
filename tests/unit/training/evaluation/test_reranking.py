from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.evaluation import distances, reranking
from training.evaluation.distances import COSINE, EUCLIDEAN, Distance
from training.evaluation.ranking import rank, summarise
from training.evaluation.reranking import KReciprocal, rerank

Features = npt.NDArray[np.float32]


def by_the_definition(query: Features, gallery: Features, parameters: KReciprocal) -> npt.NDArray[np.float64]:
    """The paper's equations with whole matrices and Python sets, one picture at a time."""
    everything = np.concatenate([query, gallery]).astype(np.float64)
    number, k1, k2 = len(everything), parameters.k1, parameters.k2
    distance = ((everything[:, None] - everything) ** 2).sum(-1)
    distance /= distance.max(axis=1, keepdims=True)
    order = np.argsort(distance, axis=1, kind="stable")

    def reciprocal(p: int, k: int) -> set[int]:
        return {int(q) for q in order[p, : k + 1] if p in order[q, : k + 1]}

    encoded = np.zeros((number, number))
    for p in range(number):
        near = reciprocal(p, k1)
        wider = set(near)
        for q in near:
            half = reciprocal(q, int(np.around(k1 / 2)))
            if len(half & near) > 2 / 3 * len(half):
                wider |= half
        for q in wider:
            encoded[p, q] = np.exp(-distance[p, q])
        encoded[p] /= encoded[p].sum()
    averaged = np.stack([encoded[order[p, :k2]].mean(axis=0) for p in range(number)])
    jaccard = np.array(
        [
            [1 - np.minimum(averaged[p], averaged[g]).sum() / np.maximum(averaged[p], averaged[g]).sum()]
            for p in range(len(query))
            for g in range(len(query), number)
        ]
    ).reshape(len(query), len(gallery))
    original = distance[: len(query), len(query) :]
    return -(1 - parameters.original) * jaccard - parameters.original * original


def crowd(queries: int, gallery: int, seed: int, dimension: int = 4) -> tuple[Features, Features]:
    """Unit features in a few clusters."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(4, dimension))
    features = centres[generator.integers(0, 4, queries + gallery)]
    features = features + 0.4 * generator.normal(size=features.shape)
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    return features[:queries], features[queries:]


def ordered(query: Features, gallery: Features) -> bool:
    """Whether float32 suffices to tell who of two is nearer, for everybody: else either order is right."""
    everything = np.concatenate([query, gallery]).astype(np.float64)
    distance = np.sort(((everything[:, None] - everything) ** 2).sum(-1), axis=1)
    return bool((np.diff(distance, axis=1) > 1e-6).all())


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**31),
    st.sampled_from([COSINE, EUCLIDEAN, Distance("xqda", np.eye(4, dtype=np.float32))]),
    st.integers(1, 9),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_reranking_equals_the_definition(
    seed: int, distance: Distance, k1: int, k2: int, original: float
) -> None:
    query, gallery = crowd(5, 30, seed)
    assume(ordered(query, gallery))
    parameters = KReciprocal(k1, k2, original)
    found = np.concatenate(list(rerank(query, gallery, parameters, distance, rows=2)))
    np.testing.assert_allclose(found, by_the_definition(query, gallery, parameters), atol=2e-5)


def test_blocks_and_features_left_where_they_lie_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    query, gallery = crowd(9, 60, 1)
    whole = np.concatenate(list(rerank(query, gallery, KReciprocal())))
    monkeypatch.setattr(distances, "KEPT", 0)
    monkeypatch.setattr(reranking, "KEPT", 0)
    monkeypatch.setattr(reranking, "_ROWS", 7)
    in_parts = np.concatenate(list(rerank(query, gallery, KReciprocal(), rows=4)))
    np.testing.assert_allclose(in_parts, whole, atol=1e-5)


def test_with_lambda_one_the_ranks_are_the_original_ones() -> None:
    query, gallery = crowd(6, 40, 3)
    again = np.concatenate(list(rerank(query, gallery, KReciprocal(original=1.0))))
    assert np.argsort(-again, axis=1).tolist() == np.argsort(-(query @ gallery.T), axis=1).tolist()


def test_a_gallery_smaller_than_k1_is_reranked() -> None:
    query, gallery = crowd(2, 3, 0)
    assert np.isfinite(np.concatenate(list(rerank(query, gallery, KReciprocal())))).all()


def test_pictures_that_are_all_the_same_are_reranked() -> None:
    same = np.ones((30, 4), dtype=np.float32)
    assert np.isfinite(np.concatenate(list(rerank(same[:2], same[2:], KReciprocal(k1=5))))).all()


def test_people_in_chains_are_found_better_than_by_distance_alone() -> None:
    # Two people turn before the camera: each is a half circle of views, and they come close at its ends.
    generator = np.random.default_rng(0)
    angle = np.tile(np.linspace(0, np.pi, 40), 2)
    person = np.repeat([0, 1], 40)
    flat = np.stack(
        [np.cos(angle) + person, np.where(person == 0, np.sin(angle), 0.4 - np.sin(angle))], axis=1
    )
    features = (flat + 0.03 * generator.normal(size=flat.shape)).astype(np.float32)
    asks = np.arange(0, 80, 8)
    answers = np.setdiff1d(np.arange(80), asks)

    def precision(blocks: object) -> float:
        labels = (person[asks], np.zeros(len(asks)), person[answers], np.ones(len(answers)))
        return summarise(rank(blocks, *labels, camera_rule=True)).map  # type: ignore[arg-type]

    before = precision(EUCLIDEAN.scores(features[asks], features[answers]))
    after = precision(rerank(features[asks], features[answers], KReciprocal(8, 4, 0.3), EUCLIDEAN))
    assert after > before + 1


def test_parameters_out_of_range_are_refused() -> None:
    for values in ((0, 6, 0.3), (20, 0, 0.3), (20, 6, 1.1)):
        with pytest.raises(ValueError, match="k1 >= 1"):
            KReciprocal(*values)


def test_each_of_many_copies_is_its_own_nearest() -> None:
    query, _ = crowd(1, 0, 3)
    neighbours, _ = reranking._neighbourhoods(np.repeat(query, 30, axis=0), COSINE, 6)
    assert neighbours[:, 0].tolist() == list(range(30))
