"""The micro-batcher: pictures of concurrent requests share runs of the model.

A worker thread (a *lane*) takes what waits, up to the largest batch, and runs it; while it runs, the next
batch gathers. So an idle service answers a single picture at once, without an artificial wait, and a busy
one fills its batches by itself. Where there are several lanes, idle ones share what waits.

What goes wrong in a batch is repeated picture by picture, so that only the guilty one fails. If a thread
dies, or the model fails even on a picture that it knows, the batcher is not ready until the model was
opened anew and is warm; the pictures of that batch are then tried once more, each alone.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from service.embedding.job import Job, Rows
from service.metrics import Metrics
from service.problems import EmbeddingFailed, Problem, Unavailable

log = logging.getLogger(__name__)

RESTART_PAUSE_S: Final = 0.5
"""Between the death of the worker thread and its replacement."""


class Model(Protocol):
    """What the batcher runs; :class:`service.embedding.engine.Engine` in the service."""

    def run(
        self,
        images: npt.NDArray[np.uint8],
        source: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
        alone: bool = False,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """uint8 [B, H, W, 3], int64 [N], int64 [N] -> float32 [N, D], float32 [N, 4] or None.

        ``alone``: no other batch runs, so this one may have all cores.
        """

    def warm_up(self) -> None:
        """Do whatever the first run would otherwise make a caller wait for; raises if the model is broken."""

    def reopen(self) -> None:
        """Open whatever runs the model anew, after it broke."""


class _Broken(Exception):
    """The model fails on every picture."""


@dataclass(slots=True, eq=False)
class _Lane:
    """One worker thread's state."""

    thread: threading.Thread | None = None
    warm: bool = True
    running_since: float | None = None
    lost: list[Job] = field(default_factory=list)
    """Over which it died; they are tried again when the model is open again."""
    restart: asyncio.TimerHandle | None = None


class Batcher:
    """Joins concurrent pictures into batches. Lives on one event loop; the model runs in other threads."""

    def __init__(
        self,
        model: Model,
        metrics: Metrics,
        *,
        max_rows: int,
        lanes: int = 1,
        stalled_after_s: float = 60.0,
    ) -> None:
        """Make a batcher; :meth:`start` begins work.

        Args:
            model: what runs a batch; from as many threads at a time as there are lanes.
            metrics: where batches are counted.
            max_rows: largest batch, in rows; a picture with more codes than this runs alone.
            lanes: batches that run at a time.
            stalled_after_s: a batch that runs longer than this makes :attr:`ready` false.
        """
        self._model = model
        self._metrics = metrics
        self._max_rows = max_rows
        self._stalled_after_s = stalled_after_s
        self._waiting: deque[Job] = deque()
        self._wake = threading.Condition()
        self._lanes = [_Lane() for _ in range(lanes)]
        self._idle = 0
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def ready(self) -> bool:
        """Whether a picture submitted now would be worked on: every lane lives, is warm and not stuck."""
        return not self._closing and all(self._works(lane) for lane in self._lanes)

    def _works(self, lane: _Lane) -> bool:
        if not lane.warm or lane.thread is None or not lane.thread.is_alive():
            return False
        since = lane.running_since
        return since is None or time.perf_counter() - since < self._stalled_after_s

    @property
    def waiting(self) -> int:
        """Pictures in the queue, those in the running batch not counted."""
        return len(self._waiting)

    async def start(self) -> None:
        """Warm the model up, off the loop, and start the workers. Faults of the model are raised."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._model.warm_up)
        for lane in self._lanes:
            self._start_thread(lane)

    async def submit(self, image: npt.NDArray[np.uint8], codes: Sequence[int]) -> Rows:
        """One picture's rows, computed together with whatever else waits.

        Args:
            image: uint8 [H, W, 3].
            codes: one row each, 0 to 8; at least one.

        Raises:
            EmbeddingFailed: the model failed on this picture, alone.
            Unavailable: the service is stopping, or workers died twice over this picture.
        """
        if self._closing:
            raise Unavailable("The service is stopping; send the request to another, or later.")
        job = Job(image, codes, asyncio.get_running_loop().create_future())
        with self._wake:
            self._waiting.append(job)
            self._wake.notify()
        try:
            return await job.result
        finally:
            # Where the caller gave up (deadline, disconnect), the worker need not run the picture.
            job.abandoned = True

    async def close(self) -> None:
        """Take nothing more, finish what was accepted, and end the workers, unless they are stuck."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for lane in self._lanes:
            if lane.restart is not None:
                lane.restart.cancel()
            if lane.thread is not None:
                await asyncio.to_thread(lane.thread.join, self._stalled_after_s)
        # Only where a worker had died or is stuck:
        for job in (*self._waiting, *(job for lane in self._lanes for job in lane.lost)):
            self._settle(job, Unavailable("The service stopped before the picture was embedded."))
        self._waiting.clear()

    # The worker threads

    def _start_thread(self, lane: _Lane) -> None:
        lane.thread = threading.Thread(target=self._work, args=[lane], name="embedding", daemon=True)
        lane.thread.start()

    def _work(self, lane: _Lane) -> None:
        batch: list[Job] = []
        try:
            if not lane.warm:
                self._model.reopen()
                self._model.warm_up()
                lane.warm = True
                self._give_back(lane)
                log.info("the embedding worker works again")
            while batch := self._take():
                lane.running_since = time.perf_counter()
                outcomes = self._run(batch)
                lane.running_since = None
                self._answer(batch, outcomes)
        except BaseException:
            # Not one picture's fault (those are dealt with in _run): the thread itself cannot go on.
            log.exception("the embedding worker died; it is started anew in %s s", RESTART_PAUSE_S)
            lane.running_since = None
            lane.warm = False
            self._keep(lane, batch)
            self._on_loop(lambda: self._restart_soon(lane))

    def _take(self) -> list[Job]:
        """Wait for pictures and take a batch of them; an empty list says that it is time to end."""
        with self._wake:
            while True:
                while self._waiting and self._waiting[0].abandoned:
                    self._waiting.popleft()
                if self._waiting:
                    if batch := self._next_batch():
                        return batch
                    continue
                if self._closing:
                    return []
                self._idle += 1
                self._wake.wait()
                self._idle -= 1

    def _next_batch(self) -> list[Job]:
        # An equal share for each lane that has nothing to do: no core waits while another has a full batch.
        share = math.ceil(sum(len(job.codes) for job in self._waiting) / (1 + self._idle))
        most = min(self._max_rows, share)
        batch: list[Job] = []
        rows = 0
        while self._waiting:
            job = self._waiting[0]
            if batch and (rows + len(job.codes) > most or job.outlived or batch[0].outlived):
                break
            self._waiting.popleft()
            if not job.abandoned:
                batch.append(job)
                rows += len(job.codes)
        return batch

    def _keep(self, lane: _Lane, batch: Sequence[Job]) -> None:
        """A worker died over these: who outlived none before waits for the model to be open again."""
        died = Unavailable("The embedding worker died over this picture, twice, and is being restarted.")
        guilty = [job for job in batch if job.outlived]
        for job in batch:
            if not job.outlived:
                job.outlived = True
                lane.lost.append(job)
        self._answer(guilty, [died] * len(guilty))

    def _give_back(self, lane: _Lane) -> None:
        with self._wake:
            self._waiting.extendleft(reversed(lane.lost))
            lane.lost.clear()
            self._wake.notify_all()

    def _run(self, batch: list[Job]) -> list[Rows | Problem]:
        """Run a batch; on a fault, each of its pictures alone."""
        started = time.perf_counter()
        codes = np.concatenate([np.asarray(job.codes, dtype=np.int64) for job in batch])
        source = np.repeat(np.arange(len(batch), dtype=np.int64), [len(job.codes) for job in batch])
        try:
            images = np.stack([job.image for job in batch])
            embeddings, grades = self._model.run(images, source, codes, self._idle == len(self._lanes) - 1)
        except Exception as error:  # whatever the provider raises
            if len(batch) > 1:
                log.warning("a batch of %d pictures failed (%s); trying them one by one", len(batch), error)
                return [outcome for job in batch for outcome in self._run([job])]
            log.exception("the model failed on a picture")
            try:
                self._model.warm_up()
            except Exception as broken:
                raise _Broken("the model fails on every picture") from broken
            return [EmbeddingFailed(f"The model could not embed this picture: {type(error).__name__}.")]
        ended = time.perf_counter()
        self._metrics.batch_pictures.observe(len(batch))
        self._metrics.batch_rows.observe(len(codes))
        sound = np.asarray(np.isfinite(embeddings).all(axis=1))
        outcomes: list[Rows | Problem] = []
        end = 0
        for job in batch:
            begin, end = end, end + len(job.codes)
            if not sound[begin:end].all():
                outcomes.append(EmbeddingFailed("The model's answer for this picture is not finite."))
                continue
            outcomes.append(
                Rows(
                    embeddings[begin:end],
                    None if grades is None else grades[begin:end],
                    queue_s=started - job.joined,
                    embed_s=ended - started,
                )
            )
        return outcomes

    def _answer(self, batch: Sequence[Job], outcomes: Sequence[Rows | Problem]) -> None:
        """Hand a whole batch back to the loop in one call."""

        def settle() -> None:
            for job, outcome in zip(batch, outcomes, strict=True):
                self._settle(job, outcome)

        if batch:
            self._on_loop(settle)

    def _on_loop(self, call: Callable[[], None]) -> None:
        assert self._loop is not None  # set before the thread starts
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("the event loop ended before the embedding worker")

    # On the loop again

    @staticmethod
    def _settle(job: Job, outcome: Rows | Problem) -> None:
        if job.result.done():  # cancelled by its caller
            return
        if isinstance(outcome, Problem):
            job.result.set_exception(outcome)
        else:
            job.result.set_result(outcome)

    def _restart_soon(self, lane: _Lane) -> None:
        self._metrics.worker_restarts.inc()
        if not self._closing:
            later = asyncio.get_running_loop().call_later
            lane.restart = later(RESTART_PAUSE_S, self._start_thread, lane)
