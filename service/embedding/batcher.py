"""The micro-batcher: pictures of concurrent requests share one run of the model.

A worker thread takes whatever waits, up to the largest batch, and runs it; while it runs, the next batch
gathers. So an idle service answers a single picture at once, without an artificial wait, and a busy one
fills its batches by itself. What goes wrong in a batch is repeated picture by picture, so that only the
guilty one fails. If the thread itself dies, the batcher is not ready until a new one has warmed up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

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
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """uint8 [B, H, W, 3], int64 [N], int64 [N] -> float32 [N, D], float32 [N, 4] or None."""

    def warm_up(self) -> None:
        """Do whatever the first run would otherwise make a caller wait for."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One picture's share of a batch.

    Attributes:
        embeddings: float32 [n, D], one row per code asked for, in that order; a view of the batch's, so
            whoever keeps it copies it.
        grades: float32 [n, 4], or None without a grader.
        queue_s: seconds from joining the queue until a batch took the picture.
        embed_s: seconds in the model.
    """

    embeddings: npt.NDArray[np.float32]
    grades: npt.NDArray[np.float32] | None
    queue_s: float
    embed_s: float


class _Job:
    """A picture that waits for its rows."""

    __slots__ = ("abandoned", "codes", "image", "joined", "result")

    def __init__(
        self, image: npt.NDArray[np.uint8], codes: Sequence[int], result: asyncio.Future[Rows]
    ) -> None:
        self.image = image
        self.codes = codes
        self.result = result
        self.joined = time.perf_counter()
        self.abandoned = False


class Batcher:
    """Joins concurrent pictures into batches. Lives on one event loop; the model runs in one thread."""

    def __init__(
        self, model: Model, metrics: Metrics, *, max_rows: int, stalled_after_s: float = 60.0
    ) -> None:
        """Make a batcher; :meth:`start` begins work.

        Args:
            model: what runs a batch.
            metrics: where batches are counted.
            max_rows: largest batch, in rows; a picture with more codes than this runs alone.
            stalled_after_s: a batch that runs longer than this makes :attr:`ready` false.
        """
        self._model = model
        self._metrics = metrics
        self._max_rows = max_rows
        self._stalled_after_s = stalled_after_s
        self._waiting: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._warm = False
        self._running_since: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._restart: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        """Whether a picture submitted now would be worked on: the thread lives, is warm and not stuck."""
        if self._closing or not self._warm or self._thread is None or not self._thread.is_alive():
            return False
        since = self._running_since
        return since is None or time.perf_counter() - since < self._stalled_after_s

    @property
    def waiting(self) -> int:
        """Pictures in the queue, those in the running batch not counted."""
        return len(self._waiting)

    async def start(self) -> None:
        """Warm the model up, off the loop, and start the worker. Faults of the model are raised."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._model.warm_up)
        self._warm = True
        self._start_thread()

    async def submit(self, image: npt.NDArray[np.uint8], codes: Sequence[int]) -> Rows:
        """One picture's rows, computed together with whatever else waits.

        Args:
            image: uint8 [H, W, 3].
            codes: one row each, 0 to 8; at least one.

        Raises:
            EmbeddingFailed: the model failed on this picture, alone.
            Unavailable: the service is stopping, or the worker died over this batch.
        """
        if self._closing:
            raise Unavailable("The service is stopping; send the request to another, or later.")
        job = _Job(image, codes, asyncio.get_running_loop().create_future())
        with self._wake:
            self._waiting.append(job)
            self._wake.notify()
        try:
            return await job.result
        finally:
            # Where the caller gave up (deadline, disconnect), the worker need not run the picture.
            job.abandoned = True

    async def close(self) -> None:
        """Take nothing more, finish what was accepted, and end the worker, unless it is stuck."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._restart is not None:
            self._restart.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, self._stalled_after_s)
        for job in self._waiting:  # only where the worker had died or is stuck
            self._settle(job, Unavailable("The service stopped before the picture was embedded."))
        self._waiting.clear()

    # The worker thread

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._work, name="embedding", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        batch: list[_Job] = []
        try:
            if not self._warm:
                self._model.warm_up()
                self._warm = True
                log.info("the embedding worker works again")
            while batch := self._take():
                self._running_since = time.perf_counter()
                outcomes = self._run(batch)
                self._running_since = None
                self._answer(batch, outcomes)
        except BaseException:
            # Not one picture's fault (those are dealt with in _run): the thread itself cannot go on.
            log.exception("the embedding worker died; it is started anew in %s s", RESTART_PAUSE_S)
            self._running_since = None
            self._warm = False
            died = Unavailable("The embedding worker died over this batch and is being restarted; try again.")
            self._answer(batch, [died] * len(batch))
            self._on_loop(self._restart_soon)

    def _take(self) -> list[_Job]:
        """Wait for pictures and take a batch of them; an empty list says that it is time to end."""
        with self._wake:
            while True:
                batch: list[_Job] = []
                rows = 0
                while self._waiting:
                    job = self._waiting[0]
                    if job.abandoned:
                        self._waiting.popleft()
                        continue
                    if batch and rows + len(job.codes) > self._max_rows:
                        break
                    batch.append(self._waiting.popleft())
                    rows += len(job.codes)
                if batch or self._closing:
                    return batch
                self._wake.wait()

    def _run(self, batch: list[_Job]) -> list[Rows | Problem]:
        """Run a batch; on a fault, each of its pictures alone."""
        started = time.perf_counter()
        codes = np.concatenate([np.asarray(job.codes, dtype=np.int64) for job in batch])
        source = np.repeat(np.arange(len(batch), dtype=np.int64), [len(job.codes) for job in batch])
        try:
            embeddings, grades = self._model.run(np.stack([job.image for job in batch]), source, codes)
        except Exception as error:  # whatever the provider raises
            if len(batch) > 1:
                log.warning("a batch of %d pictures failed (%s); trying them one by one", len(batch), error)
                return [outcome for job in batch for outcome in self._run([job])]
            log.exception("the model failed on a picture")
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

    def _answer(self, batch: Sequence[_Job], outcomes: Sequence[Rows | Problem]) -> None:
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
    def _settle(job: _Job, outcome: Rows | Problem) -> None:
        if job.result.done():  # cancelled by its caller
            return
        if isinstance(outcome, Problem):
            job.result.set_exception(outcome)
        else:
            job.result.set_result(outcome)

    def _restart_soon(self) -> None:
        self._metrics.worker_restarts.inc()
        if not self._closing:
            self._restart = asyncio.get_running_loop().call_later(RESTART_PAUSE_S, self._start_thread)
