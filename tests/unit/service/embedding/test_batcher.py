"""The micro-batcher: joins what waits, blames the guilty one only, and comes back from the dead."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio

from service.embedding import batcher as batcher_module
from service.embedding.batcher import Batcher
from service.metrics import Metrics
from service.problems import EmbeddingFailed, Unavailable

POISON = 66
DEADLY = 99


class Model:
    """Embeds a picture as (its first pixel, the code). Can be held, poisoned and killed."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()
        self.warm_ups = 0
        self.reopened = 0
        self.held_reopening = 0
        self.may_reopen = threading.Event()
        self.broken = False
        self.alone: list[bool] = []
        self.at_once = 0
        self.most_at_once = 0
        self.deadly = True
        self.nan = False

    def warm_up(self) -> None:
        self.warm_ups += 1
        if self.broken:
            raise RuntimeError("an illegal memory access was encountered")

    def reopen(self) -> None:
        self.reopened += 1
        if self.reopened == self.held_reopening:
            assert self.may_reopen.wait(20)
        self.broken = False

    def run(
        self,
        images: npt.NDArray[np.uint8],
        source: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
        alone: bool = False,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        self.batches.append(len(codes))
        self.alone.append(alone)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.started.set()
        assert self.go.wait(20)
        self.at_once -= 1
        if self.broken:
            raise RuntimeError("an illegal memory access was encountered")
        first = images[source, 0, 0, 0]
        if self.deadly and DEADLY in first:
            raise SystemExit("killed")
        if POISON in first and not self.nan:
            raise RuntimeError("poisoned")
        embeddings = np.stack([first, codes], axis=1).astype(np.float32)
        embeddings[first == POISON] = np.nan
        return embeddings, None


def picture(value: int) -> npt.NDArray[np.uint8]:
    return np.full((2, 2, 3), value, dtype=np.uint8)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest_asyncio.fixture()
async def batcher(model: Model, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Batcher]:
    monkeypatch.setattr(batcher_module, "RESTART_PAUSE_S", 0.05)
    made = Batcher(model, Metrics(), max_rows=8)
    await made.start()
    yield made
    model.go.set()
    await made.close()


async def test_every_picture_gets_its_own_rows_in_the_order_of_its_codes(batcher: Batcher) -> None:
    answers = await asyncio.gather(*(batcher.submit(picture(value), [value % 9, 0]) for value in range(40)))
    for value, rows in enumerate(answers):
        assert rows.embeddings.tolist() == [[value, value % 9], [value, 0]]


async def test_idle_batcher_runs_a_single_picture_at_once(batcher: Batcher, model: Model) -> None:
    await batcher.submit(picture(1), [0])
    assert model.batches == [1]


async def test_what_waits_shares_a_batch_up_to_its_limit(batcher: Batcher, model: Model) -> None:
    model.go.clear()
    waiting = [asyncio.create_task(batcher.submit(picture(1), [0]))]
    await until(model.started.is_set)
    waiting += [asyncio.create_task(batcher.submit(picture(2), [0, 1, 2])) for _ in range(4)]
    await until(lambda: batcher.waiting == 4)
    model.go.set()
    await asyncio.gather(*waiting)
    assert model.batches == [1, 6, 6]


async def test_picture_with_more_codes_than_a_batch_runs_alone(batcher: Batcher, model: Model) -> None:
    rows = await batcher.submit(picture(3), range(9))
    assert rows.embeddings[:, 1].tolist() == list(range(9))
    assert model.batches == [9]


@pytest.mark.parametrize("nan", [False, True])
async def test_only_the_guilty_picture_of_a_batch_fails(batcher: Batcher, model: Model, nan: bool) -> None:
    model.nan = nan
    values = [1, 2, POISON, 3]
    answers = await asyncio.gather(
        *(batcher.submit(picture(value), [0]) for value in values), return_exceptions=True
    )
    assert [isinstance(answer, EmbeddingFailed) for answer in answers] == [False, False, True, False]
    assert batcher.ready


async def test_dead_worker_is_not_ready_until_its_replacement_is_warm(batcher: Batcher, model: Model) -> None:
    assert batcher.ready
    model.held_reopening = 2
    with pytest.raises(Unavailable, match="died"):
        await batcher.submit(picture(DEADLY), [0])
    assert not batcher.ready
    model.may_reopen.set()
    await until(lambda: batcher.ready)
    assert model.warm_ups == 3  # it was tried once more, alone, and killed that worker too
    assert (await batcher.submit(picture(5), [0])).embeddings.tolist() == [[5, 0]]


async def test_pictures_that_shared_the_deadly_batch_are_answered_by_the_next_worker(
    batcher: Batcher, model: Model
) -> None:
    model.go.clear()
    first = asyncio.create_task(batcher.submit(picture(1), [0]))
    await until(model.started.is_set)
    shared = [asyncio.create_task(batcher.submit(picture(value), [0])) for value in (2, DEADLY, 3)]
    await until(lambda: batcher.waiting == 3)
    model.go.set()
    await first
    two, dead, three = await asyncio.gather(*shared, return_exceptions=True)
    assert isinstance(dead, Unavailable)
    assert not isinstance(two, BaseException)
    assert two.embeddings.tolist() == [[2, 0]]
    assert not isinstance(three, BaseException)
    assert three.embeddings.tolist() == [[3, 0]]


async def test_session_that_fails_on_everything_is_opened_anew_and_its_pictures_answered(
    batcher: Batcher, model: Model
) -> None:
    model.broken = True
    answers = await asyncio.gather(*(batcher.submit(picture(value), [0]) for value in range(4)))
    assert [rows.embeddings[0, 0] for rows in answers] == [0, 1, 2, 3]
    assert model.reopened == 1
    assert batcher.ready


async def test_poisoned_picture_reopens_nothing(batcher: Batcher, model: Model) -> None:
    with pytest.raises(EmbeddingFailed):
        await batcher.submit(picture(POISON), [0])
    assert model.reopened == 0


async def test_lanes_run_at_the_same_time_and_share_what_waits(model: Model) -> None:
    batcher = Batcher(model, Metrics(), max_rows=8, lanes=2)
    await batcher.start()
    model.go.clear()
    await until(lambda: batcher._idle == 2)  # else the first to come would take both
    waiting = []
    for value in range(2):
        waiting.append(asyncio.create_task(batcher.submit(picture(value), [0])))
        await until(lambda value=value: model.at_once == value + 1)  # type: ignore[misc]
    waiting += [asyncio.create_task(batcher.submit(picture(value), [0])) for value in range(2, 10)]
    await until(lambda: batcher.waiting == 8)
    model.go.set()
    answers = await asyncio.gather(*waiting)
    assert [rows.embeddings[0, 0] for rows in answers] == list(range(10))
    assert model.most_at_once == 2
    await until(lambda: batcher._idle == 2)  # an answer is out a moment before its lane rests
    await batcher.submit(picture(1), [0])
    assert model.alone[:2] == [True, False]  # the second ran beside the first
    assert model.alone[-1]
    await batcher.close()
    assert not batcher.ready


async def test_picture_that_waits_while_the_worker_dies_is_embedded_by_the_next(
    batcher: Batcher, model: Model
) -> None:
    model.go.clear()
    deadly = asyncio.create_task(batcher.submit(picture(DEADLY), [0]))
    await until(model.started.is_set)
    patient = asyncio.create_task(batcher.submit(picture(7), [0]))
    await until(lambda: batcher.waiting == 1)
    model.go.set()
    with pytest.raises(Unavailable):
        await deadly
    assert (await patient).embeddings.tolist() == [[7, 0]]


async def test_picture_whose_caller_gave_up_is_not_run(batcher: Batcher, model: Model) -> None:
    model.go.clear()
    first = asyncio.create_task(batcher.submit(picture(1), [0]))
    await until(model.started.is_set)
    impatient = asyncio.create_task(batcher.submit(picture(2), [0]))
    await until(lambda: batcher.waiting == 1)
    impatient.cancel()
    await asyncio.sleep(0)
    model.go.set()
    await first
    await batcher.submit(picture(3), [0])
    assert sum(model.batches) == 2


async def test_closing_finishes_what_was_accepted_and_takes_nothing_more(model: Model) -> None:
    batcher = Batcher(model, Metrics(), max_rows=2)
    await batcher.start()
    model.go.clear()
    accepted = [asyncio.create_task(batcher.submit(picture(value), [0])) for value in range(6)]
    await until(model.started.is_set)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="stopping"):
        await batcher.submit(picture(9), [0])
    model.go.set()
    await closing
    answers = await asyncio.gather(*accepted)
    assert [answer.embeddings[0, 0] for answer in answers] == list(range(6))
    assert not batcher.ready


async def test_batch_that_does_not_end_makes_it_not_ready(model: Model) -> None:
    batcher = Batcher(model, Metrics(), max_rows=2, stalled_after_s=0.05)
    await batcher.start()
    model.go.clear()
    stuck = asyncio.create_task(batcher.submit(picture(1), [0]))
    await until(model.started.is_set)
    await until(lambda: not batcher.ready)
    model.go.set()
    await stuck
    await until(lambda: batcher.ready)
    await batcher.close()
