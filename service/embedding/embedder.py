"""The embedder of the service: feature cache, decoding threads, micro-batcher, and what they cost."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import numpy.typing as npt

from models import occlusion
from models.bundle import Bundle, BundleMetadata
from service.embedding.batcher import Batcher
from service.embedding.box import Box
from service.embedding.decode import decode
from service.embedding.features import PictureFeatures, StageTimes
from service.embedding.under_way import Run, UnderWay
from service.metrics import Metrics
from service.problems import DeadlineExceeded, EmptyPicture, Overloaded, PictureTooLarge, Problem
from service.storage.cache import FeatureCache
from service.tracing import stage

_HASH_ON_LOOP_BYTES: Final = 256 * 1024
"""A file up to this size is hashed at once (0.2 ms); a larger one off the loop."""

_SMALL_BYTES: Final = 16 * 1024
_SMALL_PIXELS: Final = 256 * 128
"""A picture as a detector cuts it, decoded in 0.4 ms: a thread for it, under load, takes longer to reach."""

_SMALL_SCANS: Final = 4
"""Of a small JPEG; in 16 KiB there can be a thousand, each of which goes through all pixels."""

_PIXELS_KEPT: Final = 64
"""Decoded pictures that are kept: a query often asks twice, first for the grade, then for more codes."""


class BundleEmbedder:
    """Implements :class:`service.embedding.features.Embedder` for one bundle.

    Args of the constructor:
        bundle: the model, for its metadata and fingerprint.
        batcher: started; runs that bundle.
        cache: what was embedded before.
        metrics: where stages are timed.
        decode_threads: how many pictures are decoded at a time.
        queue_limit: pictures in work at a time; one more is :class:`Overloaded`.
        deadline_s: from the call to the answer.
        max_picture_bytes, max_pixels: limits of one picture.
        small_on_loop: decode small JPEGs at once, on the event loop. Pays where the cores are busy with
            the model; where a GPU computes it, the loop is what there is too little of.
    """

    def __init__(
        self,
        bundle: Bundle,
        batcher: Batcher,
        cache: FeatureCache,
        metrics: Metrics,
        *,
        decode_threads: int,
        queue_limit: int,
        deadline_s: float,
        max_picture_bytes: int,
        max_pixels: int,
        small_on_loop: bool = False,
    ) -> None:
        self._bundle = bundle
        self._batcher = batcher
        self._cache = cache
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")
        self._queue_limit = queue_limit
        self._deadline_s = deadline_s
        self._max_picture_bytes = max_picture_bytes
        self._max_pixels = max_pixels
        self._small_on_loop = small_on_loop
        self._in_work = 0
        self._usual_seconds = 0.0
        self._pixels: OrderedDict[str, npt.NDArray[np.uint8]] = OrderedDict()
        self._under_way = UnderWay()

    @property
    def metadata(self) -> BundleMetadata:
        """The bundle's validated metadata."""
        return self._bundle.metadata

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the bundle's file, 64 hex digits."""
        return self._bundle.fingerprint

    @property
    def in_work(self) -> int:
        """Pictures taken and not answered yet: waiting, being decoded or in the model."""
        return self._in_work

    async def embed(
        self, content: bytes, codes: Sequence[int], box: Box | None = None, *, remember: bool = True
    ) -> PictureFeatures:
        """Features of one encoded picture; see :meth:`service.embedding.features.Embedder.embed`."""
        if self._in_work >= self._queue_limit:
            raise Overloaded(
                f"{self._in_work} pictures are waiting for the model, and no more may. Try again later.",
                retry_after_s=min(60, max(1, math.ceil(self._usual_seconds))),
            )
        self._in_work += 1
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._embed(content, codes, box, remember)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"The picture was not embedded within {self._deadline_s:g} s: the service has more to do "
                "than it can. Try again later."
            ) from error
        except Problem as problem:
            self._metrics.picture_faults.labels(problem.slug).inc()
            raise
        finally:
            self._in_work -= 1
            # Smoothed; when the queue is full, about what it takes to work it off.
            self._usual_seconds += 0.1 * (time.perf_counter() - started - self._usual_seconds)

    async def forget(self, seen: Collection[tuple[str, str]]) -> bool:
        """See :meth:`service.embedding.features.Embedder.forget`."""
        by_model: dict[str, list[str]] = {}
        for fingerprint, digest in seen:
            self._pixels.pop(digest, None)
            self._under_way.forget(digest)
            by_model.setdefault(fingerprint, []).append(digest)
        return all([await self._cache.forget(model, digests) for model, digests in by_model.items()])

    def close(self) -> None:
        """End the decoding threads. The batcher and the cache are closed by whoever made them."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _embed(
        self, content: bytes, codes: Sequence[int], box: Box | None, remember: bool
    ) -> PictureFeatures:
        digest = await self._digest(content)
        if box is not None:
            digest = box.digest(digest)
        with self._under_way.run(digest) as run:
            run.forgotten = not remember
            return await self._features(content, digest, codes, box, run)

    async def _features(
        self, content: bytes, digest: str, codes: Sequence[int], box: Box | None, run: Run
    ) -> PictureFeatures:
        known = await self._cache.get(self.fingerprint, digest)
        missing = [code for code in dict.fromkeys(codes) if known is None or code not in known.embeddings]
        graded = self.metadata.has_grader
        if known is not None and not missing:
            self._metrics.cache_lookups.labels("hit").inc()
            return known
        self._metrics.cache_lookups.labels("miss" if known is None else "partial").inc()
        if known is None and graded and occlusion.NONE not in missing:
            missing.insert(0, occlusion.NONE)  # the grade is of the whole picture

        decoding = time.perf_counter()
        image = await self._decode(content, digest, box, run)
        decode_s = time.perf_counter() - decoding
        rows = await self._batcher.submit(image, missing)

        scores: npt.NDArray[np.float32] | None = None
        grade = occlusion.NONE
        if known is not None:
            scores, grade = known.scores, known.occlusion
        elif graded and rows.grades is not None:
            scores = rows.grades[missing.index(occlusion.NONE)]
            grade = int(
                occlusion.grade(scores[None], self.metadata.quarter_threshold, self.metadata.half_threshold)[
                    0
                ]
            )
        embeddings = dict(known.embeddings) if known is not None else {}
        embeddings.update(zip(missing, rows.embeddings, strict=True))
        times = StageTimes(decode_s, rows.queue_s, rows.embed_s)
        embedded = time.perf_counter()
        taken = embedded - rows.embed_s
        stage("decode", decoding, decoding + decode_s)
        stage("queue", taken - rows.queue_s, taken)
        stage("embed", taken, embedded)
        self._metrics.decode_seconds.observe(times.decode)
        self._metrics.queue_seconds.observe(times.queue)
        self._metrics.embed_seconds.observe(times.embed)
        if not run.forgotten:
            # What is cached carries no times: whoever finds it there did not spend them.
            await self._cache.put(self.fingerprint, PictureFeatures(digest, grade, scores, embeddings))
        return PictureFeatures(digest, grade, scores, embeddings, times)

    async def _digest(self, content: bytes) -> str:
        if not content:
            raise EmptyPicture("The picture has no bytes: send the file's content.")
        if len(content) > self._max_picture_bytes:
            raise PictureTooLarge(
                f"The picture's file has {len(content)} bytes; "
                f"at most {self._max_picture_bytes} are accepted."
            )
        if len(content) <= _HASH_ON_LOOP_BYTES:
            return hashlib.sha256(content).hexdigest()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: hashlib.sha256(content).hexdigest())

    async def _decode(self, content: bytes, digest: str, box: Box | None, run: Run) -> npt.NDArray[np.uint8]:
        kept = self._pixels.get(digest)
        if kept is not None:
            self._pixels.move_to_end(digest)
            return kept
        image = self._decoded_at_once(content, box)
        if image is None:
            shape = self.metadata.height, self.metadata.width
            image = await asyncio.get_running_loop().run_in_executor(
                self._threads, decode, content, *shape, self._max_pixels, box
            )
        if not run.forgotten:
            self._pixels[digest] = image
        if len(self._pixels) > _PIXELS_KEPT:
            self._pixels.popitem(last=False)
        return image

    def _decoded_at_once(self, content: bytes, box: Box | None) -> npt.NDArray[np.uint8] | None:
        """A small JPEG's pixels; None of anything that can take long, whatever its file's size promises.

        A PNG's compressed texts can: 16 KiB of them take a hundred times as long as its pixels.
        """
        small = self._small_on_loop and len(content) <= _SMALL_BYTES and self._max_pixels >= _SMALL_PIXELS
        if not small or content[:3] != b"\xff\xd8\xff" or content.count(b"\xff\xda") > _SMALL_SCANS:
            return None
        try:
            return decode(content, self.metadata.height, self.metadata.width, _SMALL_PIXELS, box)
        except PictureTooLarge:  # for here
            return None
