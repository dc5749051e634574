"""A gallery's own index kind, over what the index is set to."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from service.bench.crowd import Crowd
from service.index import clustering
from service.index.local import LocalIndex
from service.index.options import FLAT, IndexOptions
from service.index.paired import PairedIndex
from service.index.protocol import Entries, IndexKind, PartSearch

DIMENSION = 32
COUNT = 600
CROWD = Crowd(DIMENSION, 60)
FEATURES = CROWD.pictures(0, COUNT)
QUERY = CROWD.queries(1)[0]

AUTO = IndexOptions(flat_up_to=400, bits=8, share=0.1, least_clustered=200)


def add(index: LocalIndex | PairedIndex, gallery: int, start: int = 0, end: int = COUNT) -> None:
    ids = np.arange(start, end)
    index.add(gallery, Entries(ids, ids, np.zeros(len(ids), np.int64), FEATURES[start:end]))


def scores(index: LocalIndex, gallery: int) -> list[float]:
    (hits,) = index.search(gallery, [PartSearch(0, {0: QUERY[0]})], COUNT)
    return hits.scores.tolist()


@pytest.mark.parametrize(
    ("options", "kind", "count", "expected"),
    [
        (AUTO, "auto", 600, True),
        (AUTO, "auto", 300, False),
        (AUTO, "flat", 600, False),
        (AUTO, "clustered", 300, True),
        (AUTO, "clustered", 150, False),
        (FLAT, "auto", 600, False),
        (IndexOptions(flat_up_to=None, least_clustered=200), "clustered", 300, True),
        (IndexOptions(flat_up_to=100, least_clustered=200), "clustered", 150, True),
    ],
)
def test_a_gallery_is_kept_as_it_says(
    options: IndexOptions, kind: IndexKind, count: int, expected: bool
) -> None:
    index = LocalIndex(DIMENSION, options)
    assert not index.keep(1, kind)
    add(index, 1, 0, count)
    index.settle()
    assert (index.clustered(1) > 0) is expected


def test_one_gallery_s_kind_is_not_another_s_and_ends_with_it() -> None:
    index = LocalIndex(DIMENSION, AUTO)
    index.keep(1, "flat")
    for gallery in (1, 2):
        add(index, gallery)
    index.settle()
    assert (index.clustered(1), index.clustered(2) > 0) == (0, True)
    index.drop(1)
    add(index, 1)
    index.settle()
    assert index.clustered(1) > 0


def test_what_is_flat_is_clustered_when_it_may_be() -> None:
    index = LocalIndex(DIMENSION, FLAT)
    add(index, 1)
    assert not index.keep(1, "clustered")
    index.settle()
    assert index.clustered(1) == 0  # fewer than are worth it
    index = LocalIndex(DIMENSION, AUTO)
    index.keep(1, "flat")
    add(index, 1)
    assert not index.keep(1, "auto")
    index.settle()
    assert index.clustered(1) > 0


def test_what_was_clustered_is_exact_once_it_was_added_again() -> None:
    index, exact = LocalIndex(DIMENSION, AUTO), LocalIndex(DIMENSION)
    for one in (index, exact):
        add(one, 1)
    index.settle()
    assert index.keep(1, "flat")
    assert index.clustered(1) > 0
    for start in range(0, COUNT, 100):
        assert index.parts(1) == {0: COUNT}
        add(index, 1, start, start + 100)
    index.settle()
    assert index.clustered(1) == 0
    assert not index.keep(1, "flat")
    assert scores(index, 1) == scores(exact, 1)


def test_a_clustering_that_ends_when_the_gallery_has_become_flat_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clustered, go, began = clustering.clustered, threading.Event(), threading.Event()

    def held(*arguments: Any) -> Any:
        made = clustered(*arguments)
        began.set()
        assert go.wait(60)
        return made

    monkeypatch.setattr(clustering, "clustered", held)
    index, exact = LocalIndex(DIMENSION, AUTO), LocalIndex(DIMENSION)
    for one in (index, exact):
        add(one, 1, 0, 500)
    assert began.wait(60)
    assert not index.keep(1, "flat")
    for one in (index, exact):
        add(one, 1, 500)
        one.remove(1, [3])
    go.set()
    index.settle()
    assert index.clustered(1) == 0
    assert index.parts(1) == {0: COUNT - 1}
    assert scores(index, 1) == scores(exact, 1)

    index.keep(1, "auto")
    index.settle()
    assert index.clustered(1) == COUNT - 1


def test_of_two_models_both_keep_a_gallery_so() -> None:
    first, second = LocalIndex(DIMENSION, AUTO), LocalIndex(DIMENSION, AUTO)
    PairedIndex(first, second).keep(1, "flat")
    for one in (first, second):
        add(one, 1)
        one.settle()
        assert one.clustered(1) == 0
