from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.index.local import LocalIndex
from service.index.options import IndexOptions
from service.index.protocol import Entries, PartSearch

DIMENSION = 24
GALLERY = 7


def entries(ids: list[int], parts: list[int], seed: int = 0) -> Entries:
    features = np.random.default_rng([seed, *ids]).normal(size=(len(ids), 9, DIMENSION))
    features /= np.linalg.norm(features, axis=2, keepdims=True)
    numbers = np.array(ids, dtype=np.int64)
    return Entries(numbers, numbers % 5, np.array(parts, dtype=np.int64), features.astype(np.float16))


def unit(seed: int) -> npt.NDArray[np.float32]:
    vector = np.random.default_rng(seed).normal(size=DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class Reference:
    """What an index should hold, as plain dictionaries."""

    def __init__(self) -> None:
        self.part: dict[int, int] = {}
        self.features: dict[int, npt.NDArray[np.float16]] = {}

    def add(self, new: Entries) -> None:
        for row, id in enumerate(new.ids.tolist()):
            self.part[id] = int(new.occlusions[row])
            self.features[id] = new.features[row]

    def remove(self, ids: list[int]) -> None:
        for id in ids:
            self.part.pop(id, None)
            self.features.pop(id, None)

    def scores(self, search: PartSearch) -> dict[int, float]:
        return {
            id: sum(float(self.features[id][u].astype(np.float32) @ v) for u, v in search.terms.items())
            for id, part in self.part.items()
            if part == search.part
        }


ids = st.lists(st.integers(1, 40), min_size=1, max_size=15, unique=True)
updates = st.lists(
    st.one_of(
        st.tuples(st.just("add"), ids, st.integers(0, 10_000)),
        st.tuples(st.just("remove"), ids, st.just(0)),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(updates=updates, k=st.integers(1, 50), seed=st.integers(0, 1000))
def test_any_updates_leave_what_a_plain_dictionary_would_hold(
    updates: list[tuple[str, list[int], int]], k: int, seed: int
) -> None:
    index, reference = LocalIndex(DIMENSION), Reference()
    for what, numbers, update_seed in updates:
        if what == "add":
            parts = np.random.default_rng(update_seed).choice([0, 4, 8], len(numbers)).tolist()
            new = entries(numbers, parts, update_seed)
            index.add(GALLERY, new)
            reference.add(new)
        else:
            index.remove(GALLERY, numbers)
            reference.remove(numbers)
    held = list(reference.part.values())
    assert index.parts(GALLERY) == {part: held.count(part) for part in sorted(set(held))}
    searches = [
        PartSearch(0, {0: unit(seed)}),
        PartSearch(4, {3: unit(seed)}),
        PartSearch(8, {8: unit(seed), 1: 0.5 * unit(seed + 1), 0: -unit(seed + 2)}),
    ]
    for search, hits in zip(searches, index.search(GALLERY, searches, k), strict=True):
        expected = reference.scores(search)
        best = sorted(expected.values(), reverse=True)[:k]
        np.testing.assert_allclose(hits.scores, best, atol=1e-5)
        np.testing.assert_allclose(hits.scores, [expected[id] for id in hits.ids.tolist()], atol=1e-5)
        assert len(set(hits.ids.tolist())) == len(best)
        assert (hits.people == hits.ids % 5).all()
        assert (hits.parts == search.part).all()


def test_the_bits_of_the_catalog_are_what_is_compared() -> None:
    index = LocalIndex(DIMENSION)
    new = entries([1], [0])
    index.add(GALLERY, new)
    axes = np.eye(DIMENSION, dtype=np.float32)
    for code in range(9):
        read_back = [index.search(GALLERY, [PartSearch(0, {code: axis})], 1)[0].scores[0] for axis in axes]
        assert (np.array(read_back) == new.features[0, code].astype(np.float32)).all()


def test_a_removed_picture_is_not_found_by_the_next_search() -> None:
    index = LocalIndex(DIMENSION)
    index.add(GALLERY, entries([1, 2, 3], [0, 0, 4]))
    index.remove(GALLERY, [2, 2])
    (hits,) = index.search(GALLERY, [PartSearch(0, {0: unit(0)})], 10)
    assert hits.ids.tolist() == [1]
    assert index.parts(GALLERY) == {0: 1, 4: 1}


def test_galleries_do_not_see_each_other() -> None:
    index = LocalIndex(DIMENSION)
    index.add(1, entries([1], [0]))
    index.add(2, entries([2], [0]))
    index.drop(1)
    assert index.parts(1) == {}
    assert index.search(1, [PartSearch(0, {0: unit(0)})], 5)[0].ids.tolist() == []
    assert index.search(2, [PartSearch(0, {0: unit(0)})], 5)[0].ids.tolist() == [2]


def test_adding_again_replaces_and_may_change_the_part() -> None:
    index = LocalIndex(DIMENSION)
    index.add(GALLERY, entries([1, 2], [0, 0]))
    index.add(GALLERY, entries([1], [4], seed=9))
    assert index.parts(GALLERY) == {0: 1, 4: 1}
    assert index.search(GALLERY, [PartSearch(0, {0: unit(0)})], 5)[0].ids.tolist() == [2]


@pytest.mark.parametrize(
    "bad",
    [
        Entries(np.array([1]), np.array([1]), np.array([9]), np.zeros((1, 9, DIMENSION), np.float16)),
        Entries(np.array([1]), np.array([1]), np.array([0]), np.zeros((1, 9, 3), np.float16)),
        Entries(np.array([1]), np.array([1, 2]), np.array([0]), np.zeros((1, 9, DIMENSION), np.float16)),
        Entries(
            np.array([1, 1]), np.array([1, 2]), np.array([0, 0]), np.zeros((2, 9, DIMENSION), np.float16)
        ),
    ],
)
def test_entries_that_do_not_fit_change_nothing(bad: Entries) -> None:
    index = LocalIndex(DIMENSION)
    with pytest.raises(ValueError, match=r"must|twice"):
        index.add(GALLERY, bad)
    assert index.parts(GALLERY) == {}


def test_a_search_of_wrong_length_or_for_nothing_is_refused() -> None:
    index = LocalIndex(DIMENSION)
    with pytest.raises(ValueError, match="expected"):
        index.search(GALLERY, [PartSearch(0, {0: np.zeros(3, np.float32)})], 1)
    with pytest.raises(ValueError, match="k must"):
        index.search(GALLERY, [], 0)


def test_readers_never_see_half_an_update() -> None:
    """Each update puts the same twelve pictures into another part; a search must find all in one part."""
    index = LocalIndex(DIMENSION)
    numbers = list(range(1, 13))
    updates = [entries(numbers, [part] * 12, seed=part) for part in (0, 4, 8)]
    index.add(GALLERY, updates[0])
    searches = [PartSearch(part, {0: unit(1)}) for part in (0, 4, 8)]
    searches += [PartSearch(part, {0: unit(1), 5: unit(2)}) for part in (0, 4, 8)]
    done = threading.Event()
    faults: list[object] = []

    def read() -> None:
        while not done.is_set():
            found = [len(hits.ids) for hits in index.search(GALLERY, searches, 50)]
            if sorted(found) != [0, 0, 0, 0, 12, 12] or found[:3] != found[3:]:
                faults.append(found)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for round in range(150):
        index.add(GALLERY, updates[round % 3])
    done.set()
    for reader in readers:
        reader.join(30)
    assert faults == []


@settings(deadline=None, max_examples=50)
@given(among=st.sets(st.integers(1, 60)), terms=st.integers(1, 3), k=st.integers(1, 50))
def test_a_search_among_some_is_exact_however_few_they_are(among: set[int], terms: int, k: int) -> None:
    index, reference = LocalIndex(DIMENSION), Reference()
    new = entries(list(range(1, 41)), [id % 2 * 4 for id in range(1, 41)])
    index.add(GALLERY, new)
    reference.add(new)
    vectors = {code: unit(code) / np.float32(terms) for code in range(terms)}
    search = PartSearch(4, vectors, np.array(sorted(among), dtype=np.int64))
    (hits,) = index.search(GALLERY, [search], k)
    scores = {id: score for id, score in reference.scores(search).items() if id in among}
    expected = sorted(scores, key=lambda id: -scores[id])[:k]
    assert hits.ids.tolist() == expected
    np.testing.assert_allclose(hits.scores, [scores[id] for id in expected], atol=1e-4)


def test_pictures_assigned_to_another_person_show_that_person() -> None:
    index = LocalIndex(DIMENSION)
    index.add(GALLERY, entries([1, 2, 3], [0, 0, 4]))
    index.assign(GALLERY, [1, 3, 99], 77)
    found = {}
    for part in (0, 4):
        (hits,) = index.search(GALLERY, [PartSearch(part, {0: unit(1)})], 10)
        found |= dict(zip(hits.ids.tolist(), hits.people.tolist(), strict=True))
    assert found == {1: 77, 2: 2, 3: 77}


def test_an_index_says_how_it_searches() -> None:
    assert str(LocalIndex(DIMENSION)).endswith(": flat")
    assert "flat up to 500 pictures of a part, then clustered in 16 bits, of which 10% are" in str(
        LocalIndex(DIMENSION, IndexOptions(500, 16, 0.1))
    )


def test_what_is_left_of_many_erasures_is_put_together() -> None:
    index = LocalIndex(DIMENSION)
    gallery = 16_384
    for start in range(1, 6 * gallery, gallery):
        ids = np.arange(start, start + gallery)
        features = np.full((gallery, 9, DIMENSION), 0.2, np.float16)
        index.add(GALLERY, Entries(ids, ids % 5, np.zeros(gallery, np.int64), features))
    index.remove(GALLERY, [id for id in range(1, 6 * gallery + 1) if id % 16])
    index.settle()
    segments = index._galleries[GALLERY]._versions.present[0]
    assert len(segments) < 6
    assert sum(segment.size for segment in segments) == 6 * gallery // 16
    assert index.products(GALLERY, np.zeros((9, 1, DIMENSION), np.float32)).ids.tolist() == list(
        range(16, 6 * gallery + 1, 16)
    )
    assert index.cohort(GALLERY).count == 6 * gallery // 16
