from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import fusion, occlusion
from service.index.local import LocalIndex
from service.index.protocol import Entries
from service.matching import fused
from service.matching.fused import FusedPicture, fused_search

DIMENSION = 16

Features = np.ndarray


def features(seed: int, count: int) -> Features:
    """Unit vectors [count, 9, D] with something in common, as float16 holds them."""
    drawn = np.random.default_rng(seed).standard_normal((count, occlusion.COUNT, DIMENSION)) + 0.4
    return (drawn / np.linalg.norm(drawn, axis=2, keepdims=True)).astype(np.float16)


def entries(gallery: Features, parts: np.ndarray, first: int = 1) -> Entries:
    ids = np.arange(first, first + len(gallery), dtype=np.int64)
    return Entries(ids, ids * 10, parts.astype(np.int64), gallery)


def index_of(gallery: Features, seed: int = 0) -> LocalIndex:
    index = LocalIndex(DIMENSION)
    parts = np.random.default_rng(seed).integers(0, 9, len(gallery))
    index.add(1, entries(gallery, parts))
    return index


def pictures(seed: int, count: int, grader: bool) -> tuple[list[FusedPicture], Features, np.ndarray | None]:
    asked = features(seed, count).astype(np.float32)
    grades = np.random.default_rng(seed).dirichlet(np.ones(4), count).astype(np.float32) if grader else None
    made = [FusedPicture(one, None if grades is None else grades[row]) for row, one in enumerate(asked)]
    return made, asked, grades


def brute_force(asked: Features, grades: np.ndarray | None, gallery: Features) -> np.ndarray:
    """What the offline evaluation computes: mean over the query pictures, [G]."""
    held = gallery.astype(np.float32)
    mean = held.sum(axis=0) / (len(held) + fusion.PRIOR)
    weights = fusion.code_weights(grades, len(asked))
    return fusion.fused_scores(asked, held, mean, weights).mean(axis=0)


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 60),
    count=st.integers(1, 3),
    grader=st.booleans(),
    k=st.integers(1, 70),
)
@settings(max_examples=40, deadline=None)
def test_a_gallery_of_few_is_scored_whole(seed: int, size: int, count: int, grader: bool, k: int) -> None:
    gallery = features(seed, size)
    queries, asked, grades = pictures(seed + 1, count, grader)
    found = fused_search(index_of(gallery, seed), 1, queries, k).hits
    expected = brute_force(asked, grades, gallery)
    assert len(found.ids) == min(k, size)
    assert found.scores == pytest.approx(np.sort(expected)[::-1][:k], abs=2e-3)
    assert found.scores == pytest.approx(expected[found.ids - 1], abs=2e-3)
    assert (found.people == found.ids * 10).all()


def test_of_a_large_gallery_the_candidates_are_scored_as_if_all_were() -> None:
    gallery = features(1, 3000)
    queries, asked, grades = pictures(2, 1, True)
    found = fused_search(index_of(gallery), 1, queries, 5).hits
    expected = brute_force(asked, grades, gallery)
    assert found.scores == pytest.approx(expected[found.ids - 1], abs=2e-3)
    # Who is near as a whole is a candidate, and is found.
    gallery[1234] = asked[0].astype(np.float16)
    assert fused_search(index_of(gallery), 1, queries, 1).hits.ids.tolist() == [1235]


def test_asking_for_more_than_the_candidates_gives_more() -> None:
    index = index_of(features(1, 2 * fused.CANDIDATES))
    queries, _, _ = pictures(2, 1, False)
    k = fused.CANDIDATES + 100
    assert len(fused_search(index, 1, queries, k).hits.ids) == k


def test_equal_scores_stand_in_the_order_of_their_ids() -> None:
    queries, _, _ = pictures(2, 1, False)
    found = fused_search(index_of(np.repeat(features(1, 1), 8, axis=0)), 1, queries, 8).hits
    assert found.ids.tolist() == list(range(1, 9))


def test_only_what_is_asked_for_is_looked_at_and_the_cohort_stays_whole() -> None:
    gallery = features(1, 40)
    queries, asked, grades = pictures(2, 1, False)
    among = np.array([3, 17, 18, 99], dtype=np.int64)
    found = fused_search(index_of(gallery), 1, queries, 10, among).hits
    assert sorted(found.ids.tolist()) == [3, 17, 18]
    assert found.scores == pytest.approx(brute_force(asked, grades, gallery)[found.ids - 1], abs=2e-3)


def test_the_leading_code_is_the_one_that_adds_most() -> None:
    gallery = features(1, 12)
    queries, asked, _ = pictures(2, 2, False)
    gallery[4, 6], gallery[4, 2] = asked[0, 6].astype(np.float16), asked[1, 2].astype(np.float16)
    found = fused_search(index_of(gallery), 1, queries, 12)
    row = found.hits.ids.tolist().index(5)
    assert found.leading[row].tolist() == [6, 2]
    assert found.compared(row) == "top_half+left_half"


@pytest.mark.parametrize("size", [0, 1, 2])
def test_galleries_without_strangers(size: int) -> None:
    gallery = features(1, size)
    index = index_of(gallery) if size else LocalIndex(DIMENSION)
    queries, asked, grades = pictures(2, 1, True)
    found = fused_search(index, 1, queries, 5).hits
    assert len(found.ids) == size
    assert np.sort(found.scores) == pytest.approx(np.sort(brute_force(asked, grades, gallery)), abs=2e-3)


def test_a_query_needs_a_picture() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fused_search(LocalIndex(DIMENSION), 1, [], 5)


def test_the_cohort_is_exactly_what_is_there_after_any_coming_and_going() -> None:
    gallery = features(1, 50)
    index = index_of(gallery)
    index.add(1, entries(features(2, 30), np.zeros(30), first=101))
    index.remove(1, range(101, 131))
    index.remove(1, [7])
    index.add(1, entries(gallery[:5], np.arange(5)))  # again: replaces what was there
    left = np.delete(gallery, 6, axis=0)
    cohort = index.cohort(1)
    assert cohort.count == 49
    assert (cohort.total == left.astype(np.float64).sum(axis=0)).all()
    assert index.cohort(2).count == 0


def test_vectors_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[9, m, 16\]"):
        LocalIndex(DIMENSION).products(1, np.zeros((9, 1, 8), np.float32))
