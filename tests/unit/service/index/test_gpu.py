"""Flat segments searched elsewhere. FAISS's index on the CPU stands for that on a GPU: it has its calls."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
import pytest

from service.index.gpu import GpuFlats
from service.index.local import LocalIndex
from service.index.options import IndexOptions
from service.index.protocol import Entries, PartSearch

DIMENSION = 16
RNG = np.random.default_rng(0)
DRAWN = RNG.normal(size=(900, 9, DIMENSION))
FEATURES = (DRAWN / np.linalg.norm(DRAWN, axis=2, keepdims=True)).astype(np.float16)
QUERY = FEATURES[7].astype(np.float32)


class Made:
    """Makes indexes, and counts what they are asked."""

    def __init__(self) -> None:
        self.searches = self.faults = 0
        self.broken = False
        self.began, self.go = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, dimension: int) -> Any:
        made = self

        class Counted(faiss.IndexFlatIP):  # type: ignore[misc]
            def search(self, *asked: Any) -> Any:
                made.searches += 1
                made.began.set()
                assert made.go.wait(60)
                if made.broken:
                    raise RuntimeError("out of memory")
                return super().search(*asked)

        return Counted(dimension)

    def fault(self) -> None:
        self.faults += 1


@pytest.fixture
def made() -> Made:
    return Made()


def add(index: LocalIndex, start: int, end: int, gallery: int = 1) -> None:
    ids = np.arange(start, end)
    index.add(gallery, Entries(ids, ids, np.zeros(len(ids), np.int64), FEATURES[start:end]))


def found(index: LocalIndex, code: int = 0, k: int = 20, **more: Any) -> tuple[list[int], list[float]]:
    (hits,) = index.search(1, [PartSearch(0, {code: QUERY[code]}, **more)], k)
    return hits.ids.tolist(), hits.scores.tolist()


def pair(made: Made) -> tuple[LocalIndex, LocalIndex, GpuFlats]:
    gpu = GpuFlats(made, made.fault, least=100)
    return LocalIndex(DIMENSION, gpu=gpu), LocalIndex(DIMENSION), gpu


def assert_alike(here: LocalIndex, there: LocalIndex, **asked: Any) -> None:
    for code in (0, 4):
        ids, scores = found(there, code, **asked)
        expected_ids, expected = found(here, code, **asked)
        assert ids == expected_ids
        assert scores == pytest.approx(expected, abs=1e-5)


def test_what_comes_goes_and_is_moved_is_found_as_on_the_cpu(made: Made) -> None:
    there, here, gpu = pair(made)
    for index in (there, here):
        add(index, 0, 300)
    assert_alike(here, there)
    assert made.searches == 2
    for index in (there, here):
        add(index, 300, 700)
    assert_alike(here, there)
    for index in (there, here):
        index.remove(1, range(0, 700, 3))
    assert_alike(here, there)
    for index in (there, here):
        index.settle()  # else what comes next may lie beside the segment that is being rewritten, in its own
        add(index, 700, 900)
        index.settle()
    assert_alike(here, there)
    assert made.searches == 8
    assert made.faults == 0
    gc.collect()
    assert len(gpu._copies) == 1


def test_erased_features_are_in_no_copy(made: Made) -> None:
    there, _, gpu = pair(made)
    add(there, 0, 300)
    found(there)
    there.remove(1, [7])
    assert gpu._copies == {}
    found(there)
    ((_, copies),) = gpu._copies.values()
    assert copies[0].ntotal == 300
    assert not copies[0].reconstruct(7).any()


def test_what_the_gpu_cannot_do_the_cpu_does(made: Made) -> None:
    there, here, _ = pair(made)
    for index in (there, here):
        add(index, 0, 300)
    assert_alike(here, there, among=np.arange(0, 300, 2))
    terms = {0: QUERY[0], 4: QUERY[4]}
    results = [index.search(1, [PartSearch(0, terms)], 5)[0].ids.tolist() for index in (there, here)]
    assert results[0] == results[1]
    small = LocalIndex(DIMENSION, gpu=GpuFlats(made, made.fault, least=400))
    add(small, 0, 300)
    assert found(small)[0] == found(here)[0]
    clustered = LocalIndex(DIMENSION, IndexOptions(flat_up_to=100), GpuFlats(made, made.fault, least=100))
    add(clustered, 0, 300)
    clustered.settle()
    found(clustered)
    assert made.searches == 0


def test_after_a_fault_the_cpu_does_all(made: Made) -> None:
    there, here, _ = pair(made)
    for index in (there, here):
        add(index, 0, 300)
    made.broken = True
    assert_alike(here, there)
    made.broken = False
    assert_alike(here, there)
    assert (made.searches, made.faults) == (1, 1)


def test_no_copy_is_freed_beside_a_running_search(made: Made) -> None:
    there, _, gpu = pair(made)
    for gallery in (1, 2, 3):
        add(there, 0, 300, gallery)
        there.search(gallery, [PartSearch(0, {0: QUERY[0]})], 5)
    there.drop(3)
    gc.collect()
    assert len(gpu._copies) == 2
    made.began.clear()
    made.go.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(found, there)
        assert made.began.wait(60)
        there.drop(2)
        gc.collect()
        beside = len(gpu._copies)
        made.go.set()
        expected = running.result()
    assert beside == 2
    assert found(there) == expected
    assert len(gpu._copies) == 1


def test_who_waited_while_the_gpu_failed_does_not_ask_it_again(made: Made) -> None:
    there, here, gpu = pair(made)
    for index in (there, here):
        add(index, 0, 300)
    made.broken = True
    made.go.clear()
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(found, there) for _ in range(4)]
        assert made.began.wait(60)
        made.go.set()
        assert all(one.result()[0] == found(here)[0] for one in running)
    assert (made.searches, made.faults, gpu._copies) == (1, 1, {})


def test_a_gpu_that_computes_something_else_is_found_out(made: Made) -> None:
    GpuFlats(made).check(DIMENSION)

    class Wrong(faiss.IndexFlatIP):  # type: ignore[misc]
        def search(self, *asked: Any) -> Any:
            scores, rows = super().search(*asked)
            return scores, np.roll(rows, 1, axis=0)

    with pytest.raises(RuntimeError, match="other pictures"):
        GpuFlats(Wrong).check(DIMENSION)


def test_without_a_gpu_there_is_none(monkeypatch: pytest.MonkeyPatch, made: Made) -> None:
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert GpuFlats.of_this_machine(DIMENSION, made.fault) is None
    assert made.faults == 0
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)  # one that this build of FAISS cannot use
    assert GpuFlats.of_this_machine(DIMENSION, made.fault) is None
    assert made.faults == 1
