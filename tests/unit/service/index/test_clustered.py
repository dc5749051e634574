"""The index where it is clustered: what must hold however approximate it is."""

from __future__ import annotations

import gc
import itertools
import threading
from types import FunctionType, ModuleType
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from service.bench.crowd import Crowd
from service.index.local import LocalIndex
from service.index.options import IndexOptions
from service.index.protocol import Entries, PartSearch
from service.index.segment import Segment

DIMENSION = 32
GALLERY = 7
CROWD = Crowd(DIMENSION, 200)
FEATURES = CROWD.pictures(0, 2000)
QUERIES = CROWD.queries(40)


def entries(ids: npt.NDArray[np.int64], features: npt.NDArray[np.float16] | None = None) -> Entries:
    own = FEATURES[ids] if features is None else features
    return Entries(ids, ids // 10, np.zeros(len(ids), dtype=np.int64), own)


def filled(options: IndexOptions, count: int = 2000) -> LocalIndex:
    index = LocalIndex(DIMENSION, options)
    for start in range(0, count, 250):
        index.add(GALLERY, entries(np.arange(start, min(start + 250, count))))
    index.settle()
    return index


def found(index: LocalIndex, vector: npt.NDArray[np.float32], k: int, **more: object) -> list[int]:
    (hits,) = index.search(GALLERY, [PartSearch(0, {0: vector}, **more)], k)  # type: ignore[arg-type]
    assert (np.diff(hits.scores) <= 0).all()
    assert (hits.people == hits.ids // 10).all()
    return hits.ids.tolist()


def exact(code: int = 0) -> npt.NDArray[np.float32]:
    """Scores [queries, pictures]."""
    return QUERIES[:, code] @ FEATURES[:, code].astype(np.float32).T


def recall(index: LocalIndex, code: int) -> float:
    best = np.argsort(-exact(code), axis=1)[:, :10]
    shares = []
    for own, query in zip(best, QUERIES, strict=True):
        (hits,) = index.search(GALLERY, [PartSearch(0, {code: query[code]})], 10)
        shares.append(np.isin(own, hits.ids).mean())
    return float(np.mean(shares))


@pytest.mark.parametrize(("bits", "least"), [(16, 0.85), (8, 0.8)])
def test_most_of_the_best_are_found_under_every_code(bits: int, least: float) -> None:
    index = filled(IndexOptions(400, 8 if bits == 8 else 16, 0.2))
    assert index.clustered(GALLERY) > 1500
    assert recall(index, 0) >= least
    assert recall(index, 4) >= least - 0.15


def test_looking_at_all_lists_is_brute_force() -> None:
    index = filled(IndexOptions(400, 16, 1.0))
    scores = exact()
    for row, query in enumerate(QUERIES):
        expected = np.argsort(-scores[row], kind="stable")[:10]
        (hits,) = index.search(GALLERY, [PartSearch(0, {0: query[0]})], 10)
        np.testing.assert_allclose(hits.scores, scores[row][expected], atol=1e-4)
    terms = {0: QUERIES[0, 0], 5: -QUERIES[1, 5]}
    (hits,) = index.search(GALLERY, [PartSearch(0, terms)], 10)
    sums = sum(FEATURES[:, code].astype(np.float32) @ vector for code, vector in terms.items())
    np.testing.assert_allclose(hits.scores, np.sort(sums)[::-1][:10], atol=1e-4)


def test_eight_bits_move_a_score_by_little() -> None:
    index = filled(IndexOptions(400, 8, 1.0))
    products = index.products(GALLERY, QUERIES.transpose(1, 0, 2))
    truth = np.einsum("uqd,nud->uqn", QUERIES.transpose(1, 0, 2), FEATURES.astype(np.float32))
    assert products.ids.tolist() == list(range(2000))
    error = np.abs(products.values - truth)
    assert error.mean() < 0.003
    assert error.max() < 0.02


def test_eight_bits_cut_nothing_off_of_a_picture_unlike_all_before_it() -> None:
    index = filled(IndexOptions(400, 8, 1.0))
    unlike = np.zeros((600, 9, DIMENSION), dtype=np.float16)
    unlike[np.arange(600), :, np.arange(600) % DIMENSION] = 1
    index.add(GALLERY, entries(np.arange(2000, 2600), unlike))
    index.settle()
    assert index.clustered(GALLERY) > 2400
    for component in range(DIMENSION):
        (hits,) = index.search(
            GALLERY, [PartSearch(0, {3: np.eye(DIMENSION, dtype=np.float32)[component]})], 1
        )
        np.testing.assert_allclose(hits.scores, [1.0], atol=0.02)
    before = QUERIES[:, 0] @ FEATURES[:, 0].astype(np.float32).T
    (products,) = [index.products(GALLERY, QUERIES.transpose(1, 0, 2), np.arange(2000))]
    assert np.abs(products.values[0] - before).max() < 0.05  # by steps as wide as a whole component


def test_a_search_among_few_is_exact() -> None:
    index = filled(IndexOptions(400, 16, 0.01))
    among = np.arange(3, 2000, 90)
    for row, query in enumerate(QUERIES):
        order = among[np.argsort(-exact()[row][among])]
        assert found(index, query[0], 5, among=among) == order[:5].tolist()


def test_as_many_are_found_as_were_asked_for() -> None:
    index = filled(IndexOptions(400, 8, 0.01))
    assert len(found(index, QUERIES[0, 0], 1500)) == 1500
    assert len(set(found(index, QUERIES[0, 0], 5000))) == 2000


def test_what_was_removed_is_never_found_and_is_overwritten() -> None:
    index = filled(IndexOptions(400, 8, 0.2))
    segments = [segment for part in index._galleries[GALLERY]._versions.present.values() for segment in part]
    gone = np.arange(0, 2000, 3)
    where = [(segment, segment.rows_of(gone)) for segment in segments]
    assert sum(len(rows) for _, rows in where) == len(gone)
    index.remove(GALLERY, gone.tolist())
    assert all((segment.codes[:, rows] == 0).all() for segment, rows in where)
    assert not set(found(index, QUERIES[0, 0], 2000)) & set(gone.tolist())
    assert index.parts(GALLERY) == {0: 2000 - len(gone)}
    index.settle()  # a third of each segment is gone: all are rewritten
    after = [segment for part in index._galleries[GALLERY]._versions.present.values() for segment in part]
    assert all(4 * (segment.size - segment.count) < segment.size for segment in after)
    left = np.setdiff1d(np.arange(2000), gone)
    assert sorted(found(index, QUERIES[0, 0], 2000)) == left.tolist()
    held = index.products(GALLERY, np.ones((9, 1, DIMENSION), np.float32)).values.sum(axis=(1, 2))
    np.testing.assert_allclose(index.cohort(GALLERY).total.sum(axis=1), held, atol=1.0)


def test_a_picture_added_again_replaces_the_clustered_one() -> None:
    index = filled(IndexOptions(400, 16, 0.2))
    index.add(GALLERY, entries(np.array([17]), QUERIES[:1].astype(np.float16)))
    assert found(index, QUERIES[0, 0], 1) == [17]
    assert index.parts(GALLERY) == {0: 2000}


def test_renaming_reaches_clustered_pictures() -> None:
    index = filled(IndexOptions(400, 8, 0.2))
    index.assign(GALLERY, [5, 1500], 999)
    (hits,) = index.search(GALLERY, [PartSearch(0, {0: QUERIES[0, 0]})], 2000)
    assert sorted(hits.ids[hits.people == 999].tolist()) == [5, 1500]


def test_becoming_clustered_under_searches_and_updates_loses_nothing() -> None:
    """Pictures 0 to 499 stay: a search for all must find them at every moment, and never the erased."""
    index = LocalIndex(DIMENSION, IndexOptions(300, 8, 0.5))
    index.add(GALLERY, entries(np.arange(500)))
    stay = set(range(500))
    ending = threading.Event()
    faults: list[object] = []
    erased: set[int] = set()

    def read() -> None:
        while not ending.is_set():
            before = set(erased)
            ids = found(index, QUERIES[0, 0], 5000)
            if not stay <= set(ids) or len(set(ids)) != len(ids) or before & set(ids):
                faults.append(sorted(stay - set(ids))[:5])

    reader = threading.Thread(target=read)
    reader.start()
    for start in range(500, 2000, 100):
        index.add(GALLERY, entries(np.arange(start, start + 100)))
        index.remove(GALLERY, range(start, start + 50))
        erased |= set(range(start, start + 50))
    ending.set()
    reader.join(60)
    index.settle()
    assert faults == []
    assert index.clustered(GALLERY) > 0
    assert set(found(index, QUERIES[0, 0], 5000)) == set(range(2000)) - erased


def test_an_index_filled_again_finds_the_same() -> None:
    """As after a restart, in one go from the catalog."""
    options = IndexOptions(400, 16, 1.0)
    again = LocalIndex(DIMENSION, options)
    again.add(GALLERY, entries(np.arange(2000)))
    again.settle()
    first = filled(options)
    assert again.clustered(GALLERY) > 1500
    assert [found(again, query[0], 10) for query in QUERIES] == [
        found(first, query[0], 10) for query in QUERIES
    ]


@pytest.mark.parametrize("bits", [8, 16])
def test_what_was_removed_is_in_no_byte_of_the_index(bits: Literal[8, 16]) -> None:
    """Neither as it was stored nor as it was enrolled, nor as the mean of a list that it was alone in."""
    generator = np.random.default_rng(1)
    who = np.concatenate([np.arange(20), 20 + np.arange(280) // 7])  # twenty of them have no other picture
    drawn = generator.normal(size=(60, 1, DIMENSION))[who] + 0.3 * generator.normal(size=(300, 9, DIMENSION))
    features = (drawn / np.linalg.norm(drawn, axis=2, keepdims=True)).astype(np.float16)
    index = LocalIndex(DIMENSION, IndexOptions(100, bits, 0.5))
    index.add(GALLERY, entries(np.arange(300), features))
    index.settle()
    (segment,) = segments_of(index)
    lists = segment.lists
    assert lists is not None
    alone = segment.ids[lists.starts[:-1][np.diff(lists.starts) == 1]]
    others = segment.ids[lists.starts[:-1][np.diff(lists.starts) > 1]]  # the first of each list
    assert len(alone) > 2
    assert len(others) > 2
    gone = np.concatenate([alone, others])
    traces = {}
    for id in gone.tolist():
        (row,) = segment.rows_of(np.array([id]))
        stored = np.concatenate([segment.features(code, np.array([row])) for code in range(9)])
        traces[id] = [
            *(segment.codes[code, row].tobytes() for code in range(9)),
            *(one.astype(kind).tobytes() for one in stored for kind in ("<f2", "<f4", "<f8")),
            *(one.astype(kind).tobytes() for one in features[id] for kind in ("<f2", "<f4", "<f8")),
        ]
    memory = memory_of(index)
    assert all(any(trace in memory for trace in found) for found in traces.values())

    index.remove(GALLERY, gone.tolist())
    memory = memory_of(index)
    assert [id for id, found in traces.items() if any(trace in memory for trace in found)] == []
    for one in segments_of(index):
        if one.lists is not None:
            for number, (first, end) in enumerate(itertools.pairwise(one.lists.starts.tolist())):
                rows = first + np.flatnonzero(one.alive[first:end])
                mean = one.sums(rows) / max(1, len(rows))
                np.testing.assert_allclose(one.lists.centroids[:, number], mean, atol=1e-6)
    left = np.setdiff1d(np.arange(300), gone)
    assert sorted(found(index, QUERIES[0, 0], 300)) == left.tolist()


def segments_of(index: LocalIndex) -> list[Segment]:
    return [one for part in index._galleries[GALLERY]._versions.present.values() for one in part]


def memory_of(index: LocalIndex) -> bytes:
    """Every array that can be reached from the index."""
    seen: dict[int, object] = {}
    waiting: list[object] = [index]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType):
            continue
        seen[id(one)] = one
        waiting += gc.get_referents(one)
    return b"\0".join(array.tobytes() for array in seen.values() if isinstance(array, np.ndarray))
