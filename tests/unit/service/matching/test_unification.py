from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import occlusion
from service.index.local import LocalIndex
from service.index.protocol import Entries, Hits
from service.matching import unification
from service.matching.unification import QueryPicture

DIMENSION = 16

Vectors = npt.NDArray[np.float32]


def features(rng: np.random.Generator, count: int) -> npt.NDArray[np.float16]:
    values = rng.normal(size=(count, 9, DIMENSION))
    return (values / np.linalg.norm(values, axis=2, keepdims=True)).astype(np.float16)


def brute_force(
    unify: str, queries: Vectors, graded: list[int], gallery: Vectors, parts: list[int]
) -> list[float]:
    """Design §4 word for word: a double loop over pictures, one cosine each, mean over query pictures."""
    scores = []
    for i, part in enumerate(parts):
        per_query = []
        for q, grade in enumerate(graded):
            if unify == "off":
                a, b = queries[q, 0], gallery[i, 0]
            else:
                c_q = grade if unify == "auto" else occlusion.NAMES.index(unify)
                a, b = queries[q, part], gallery[i, c_q]
            per_query.append(float(a @ b))
        scores.append(sum(per_query) / len(per_query))
    return scores


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    parts=st.lists(st.integers(0, 8), min_size=1, max_size=40),
    graded=st.lists(st.integers(0, 8), min_size=1, max_size=4),
    unify=st.sampled_from(unification.PAIR_CHOICES),
    k=st.integers(1, 45),
)
def test_plan_search_and_merge_equal_brute_force(
    seed: int, parts: list[int], graded: list[int], unify: str, k: int
) -> None:
    rng = np.random.default_rng(seed)
    gallery, queries = features(rng, len(parts)), features(rng, len(graded)).astype(np.float32)
    people = rng.integers(0, 6, len(parts))
    index = LocalIndex(DIMENSION)
    ids = np.arange(len(parts)) + 100
    index.add(1, Entries(ids, people, np.array(parts), gallery))
    codes = unification.query_codes(unify, index.parts(1))
    pictures = [
        QueryPicture(unification.query_occlusion(unify, grade), {u: queries[q, u] for u in codes})
        for q, grade in enumerate(graded)
    ]
    found = unification.merge(index.search(1, unification.plan(unify, pictures, index.parts(1)), k), k)

    expected = brute_force(unify, queries, graded, gallery.astype(np.float32), parts)
    best = sorted(expected, reverse=True)[:k]
    np.testing.assert_allclose(found.scores, best, atol=1e-5)
    np.testing.assert_allclose(found.scores, [expected[id - 100] for id in found.ids], atol=1e-5)
    assert len(set(found.ids.tolist())) == len(best)
    assert found.parts.tolist() == [parts[id - 100] for id in found.ids]

    each_person = unification.best_per_person(found)
    seen = {int(person) for person in found.people}
    assert sorted(each_person.people.tolist()) == sorted(seen)
    for person, score in zip(each_person.people, each_person.scores, strict=True):
        assert score == max(found.scores[found.people == person])
    assert (np.diff(each_person.scores) <= 0).all()


def test_a_holistic_gallery_is_one_search_with_the_whole_query() -> None:
    whole = np.ones(DIMENSION, np.float32)
    (search,) = unification.plan("auto", [QueryPicture(4, {0: whole})], [0])
    assert unification.query_codes("auto", [0]) == (0,)
    assert search.part == 0
    assert list(search.terms) == [4]
    assert (search.terms[4] == whole).all()


def test_off_compares_whole_pictures_in_every_part() -> None:
    query = QueryPicture(unification.query_occlusion("off", 4), {0: np.ones(DIMENSION, np.float32)})
    searches = unification.plan("off", [query], [0, 4, 8])
    assert [(search.part, list(search.terms)) for search in searches] == [(0, [0]), (4, [0]), (8, [0])]


def test_query_pictures_of_one_code_share_a_search_term() -> None:
    vectors = np.eye(DIMENSION, dtype=np.float32)
    (search,) = unification.plan(
        "auto", [QueryPicture(2, {0: vectors[0]}), QueryPicture(2, {0: vectors[1]})], [0]
    )
    assert list(search.terms) == [2]
    assert search.terms[2][:3].tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("unify", "codes", "part", "expected"),
    [
        ("auto", [4], 0, "bottom_half"),
        ("auto", [0], 0, "none"),
        ("auto", [0], 5, "left_quarter"),
        ("auto", [5], 4, "bottom_half+left_quarter"),
        ("auto", [4], 4, "bottom_half"),
        ("auto", [4, 0], 1, "top_quarter+bottom_half"),
        ("off", [0], 4, "none"),
    ],
)
def test_what_was_hidden_on_both_sides_is_named(
    unify: str, codes: list[int], part: int, expected: str
) -> None:
    assert unification.hidden_on_both_sides(unify, codes, part) == expected


def test_a_stated_type_overrules_the_grader() -> None:
    assert unification.query_occlusion("top_half", 4) == 2
    assert unification.query_occlusion("none", 4) == 0
    with pytest.raises(ValueError, match="unknown occlusion type"):
        unification.query_occlusion("sideways", 0)


def test_equal_scores_are_ordered_by_id() -> None:
    def hits(ids: list[int]) -> Hits:
        numbers = np.array(ids)
        return Hits(numbers, numbers, np.zeros_like(numbers), np.full(len(ids), 0.5, np.float32))

    assert unification.merge([hits([9, 3]), hits([5])], 2).ids.tolist() == [3, 5]


def test_nothing_to_search_is_nothing_found() -> None:
    assert unification.merge([], 5).ids.tolist() == []
    with pytest.raises(ValueError, match="at least one"):
        unification.plan("auto", [], [0])
