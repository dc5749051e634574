"""From pictures to F(x, u): embeddings of pictures with the rectangle of code u hidden. No torch here.

Whatever a model's file is, an :class:`Embedder` takes the bundle's inputs and gives the bundle's outputs:
:class:`BundleEmbedder` runs a bundle in ONNX Runtime, ``training/evaluation/checkpoint_features.py`` a
checkpoint in PyTorch.

    >>> embedder = BundleEmbedder.open(Path("oamn.onnx"))
    >>> pixels = read_pixels(protocol.query, embedder.height, embedder.width)
    >>> features = embed(embedder, pixels, np.arange(len(pixels)), np.zeros(len(pixels), np.int64))
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt
import onnxruntime

from models import bundle, occlusion
from training.data.records import Picture
from training.evaluation.occluders import read_picture

__all__ = ["BATCH", "Advance", "BundleEmbedder", "Embedder", "Features", "embed", "read_pixels"]

BATCH = 64
"""Embeddings computed in one call."""

Advance = Callable[[int], object]
"""Told how many more are done; drives a progress bar."""


@dataclass(frozen=True, slots=True)
class Features:
    """What an embedder answers.

    Attributes:
        embeddings: float32 [N, D], unit length.
        grades: float32 [N, 4], the grader's scores, or None where the model has no grader.
    """

    embeddings: npt.NDArray[np.float32]
    grades: npt.NDArray[np.float32] | None


class Embedder(Interface):
    """A model that embeds pictures.

    Attributes:
        name: what a table calls the model: the file's name, of a checkpoint with the run's folder before it.
        fingerprint: of a bundle; None for a checkpoint.
        height, width, dimension: pixels, pixels, D.
        has_grader: whether it grades occlusion.
        thresholds: the quarter's and the half's (OAMN eq. 8).
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str | None: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def dimension(self) -> int: ...
    @property
    def has_grader(self) -> bool: ...
    @property
    def thresholds(self) -> tuple[float, float]: ...

    def __call__(
        self,
        images: npt.NDArray[np.uint8],
        source: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
    ) -> Features:
        """Embed ``images`` [B, H, W, 3]: row n from ``images[source[n]]`` with ``codes[n]`` hidden."""
        ...


@dataclass(frozen=True, slots=True)
class BundleEmbedder:
    """A bundle in ONNX Runtime; see :class:`Embedder` for the attributes."""

    name: str
    fingerprint: str | None
    height: int
    width: int
    dimension: int
    has_grader: bool
    thresholds: tuple[float, float]
    session: onnxruntime.InferenceSession

    @classmethod
    def open(cls, path: Path, providers: list[str] | None = None) -> BundleEmbedder:
        """Open a bundle.

        Raises:
            FileNotFoundError: there is no such file.
            BundleError: it is not a bundle.
        """
        opened = bundle.read_bundle(path)
        facts = opened.metadata
        return cls(
            path.name,
            opened.fingerprint,
            facts.height,
            facts.width,
            facts.dimension,
            facts.has_grader,
            (facts.quarter_threshold, facts.half_threshold),
            opened.session(providers, session_options()),
        )

    def __call__(
        self,
        images: npt.NDArray[np.uint8],
        source: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
    ) -> Features:
        outputs = [bundle.EMBEDDINGS, bundle.GRADES] if self.has_grader else [bundle.EMBEDDINGS]
        answer = self.session.run(
            outputs, {bundle.IMAGES: images, bundle.SOURCE: source, bundle.OCCLUSION: codes}
        )
        return Features(answer[0], answer[1] if self.has_grader else None)


def session_options() -> onnxruntime.SessionOptions:
    """Session options that respect ``OMP_NUM_THREADS``, which ONNX Runtime's own thread pool does not."""
    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit():
        options.intra_op_num_threads = int(threads)
    return options


def read_pixels(
    pictures: Sequence[Picture], height: int, width: int, advance: Advance | None = None
) -> npt.NDArray[np.uint8]:
    """Decode pictures in threads and fit each to the model: uint8 [n, height, width, 3], RGB.

    Raises:
        OSError: a file is missing or is not a picture; the message names it.
    """
    pixels = np.empty((len(pictures), height, width, 3), dtype=np.uint8)

    def read(index: int) -> None:
        pixels[index] = bundle.fit_picture(read_picture(pictures[index]), height, width)
        if advance is not None:
            advance(1)

    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        for _ in pool.map(read, range(len(pictures))):
            pass
    return pixels


def embed(
    embedder: Embedder,
    pixels: npt.NDArray[np.uint8],
    source: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int64],
    advance: Advance | None = None,
) -> Features:
    """Embed any number of (picture, code) pairs in batches of :data:`BATCH`.

    Args:
        pixels: uint8 [n, H, W, 3].
        source: int64 [N], which picture.
        codes: int64 [N], which code it is hidden by.

    Raises:
        ValueError: ``source`` and ``codes`` differ in length, or a code is not 0 to 8.
    """
    if source.shape != codes.shape or source.ndim != 1:
        raise ValueError(f"source and codes must be [N] each, not {list(source.shape)}, {list(codes.shape)}")
    if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < occlusion.COUNT:
        raise ValueError(f"codes must be 0 to {occlusion.COUNT - 1}")
    embeddings = np.empty((len(source), embedder.dimension), dtype=np.float32)
    grades = np.empty((len(source), len(occlusion.PLACES)), dtype=np.float32) if embedder.has_grader else None
    for start in range(0, len(source), BATCH):
        batch = slice(start, start + BATCH)
        rows, local = np.unique(source[batch], return_inverse=True)
        answer = embedder(pixels[rows], local.astype(np.int64), codes[batch].astype(np.int64))
        embeddings[batch] = answer.embeddings
        if grades is not None and answer.grades is not None:
            grades[batch] = answer.grades
        if advance is not None:
            advance(len(local))
    return Features(embeddings, grades)
