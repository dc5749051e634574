"""A picture on its way through the model, and what it gets there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Job", "Rows"]


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


class Job:
    """A picture that waits for its rows.

    Attributes:
        image: uint8 [H, W, 3].
        codes: one row is asked for each.
        result: where the rows or the problem go; belongs to the event loop.
        joined: when it began to wait, ``time.perf_counter()``.
        abandoned: nobody waits for the result any more.
        outlived: a worker died over it before.
    """

    __slots__ = ("abandoned", "codes", "image", "joined", "outlived", "result")

    def __init__(
        self, image: npt.NDArray[np.uint8], codes: Sequence[int], result: asyncio.Future[Rows]
    ) -> None:
        self.image = image
        self.codes = codes
        self.result = result
        self.joined = time.perf_counter()
        self.abandoned = False
        self.outlived = False
