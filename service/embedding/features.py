"""What the service knows of one picture, and the protocol of whatever computes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.bundle import BundleMetadata
from service.embedding.box import Box


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Where one picture's time went, in seconds. All zero where the features came from the cache.

    Attributes:
        decode: bytes to uint8 [H, W, 3], the wait for a decoding thread included.
        queue: from joining the micro-batcher's queue until a batch took it.
        embed: in ONNX Runtime, of the batch (or batches) that carried it.
    """

    decode: float = 0.0
    queue: float = 0.0
    embed: float = 0.0


@dataclass(frozen=True, slots=True)
class PictureFeatures:
    """One picture as one model sees it.

    Attributes:
        digest: names what was seen, 64 hex digits: SHA-256 of the picture's bytes, or of that and the box.
        occlusion: graded code c(x), 0 to 8 (OAMN eq. 8); 0 for bundles without a grader.
        scores: float32 [4], the grader's, order top, bottom, left, right; None without a grader.
        embeddings: code -> F(x, code), float32 [D] of unit length; holds at least the codes asked for.
        times: where the time went; not part of what is cached or compared.
    """

    digest: str
    occlusion: int
    scores: npt.NDArray[np.float32] | None
    embeddings: Mapping[int, npt.NDArray[np.float32]]
    times: StageTimes = field(default=StageTimes(), compare=False)


class Embedder(Protocol):
    """Computes features: decode off the loop -> feature cache -> micro-batch -> ONNX Runtime."""

    @property
    def metadata(self) -> BundleMetadata:
        """The bundle's validated metadata."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the bundle's file, 64 hex digits."""

    async def embed(
        self, content: bytes, codes: Sequence[int], box: Box | None = None, *, remember: bool = True
    ) -> PictureFeatures:
        """Features of one encoded picture under the codes asked for, and its grade.

        Args:
            content: the picture file's bytes.
            box: where in the picture the person is; the whole picture unless given.
            codes: occlusion codes, 0 to 8; the grade is of the whole picture, whatever is asked for.
            remember: keep what comes of it for the next time; else it is kept nowhere.

        Raises:
            PictureError: the bytes are no picture that can be taken; the subclass says which fault.
            Overloaded: the queue is full.
            DeadlineExceeded: no answer within the deadline.
        """

    async def forget(self, seen: Collection[tuple[str, str]]) -> bool:
        """Let nothing derived of these pictures be found again: (model's fingerprint, digest) of each.

        What is being embedded at this moment is given to those who asked, and not remembered either.

        Returns:
            False where that is not certain, see :meth:`service.storage.cache.FeatureCache.forget`.
        """
