"""Distances between features, as scores in blocks: cosine, Euclidean, XQDA, KISSME. No torch.

Both learned distances are Euclidean after a linear map, so that two forms are enough. Scores come in blocks
of queries, and the gallery is read in parts, so that it may be memory-mapped and the matrix of all scores is
never built.

    >>> distance = fit("xqda", train_features, train_people, train_cameras)
    >>> ranking = rank(distance.scores(query, gallery), ...)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from training.evaluation.metric_learning.kissme import fit_kissme
from training.evaluation.metric_learning.xqda import fit_xqda

__all__ = ["COSINE", "EUCLIDEAN", "KEPT", "NAMES", "Distance", "Name", "Rows", "fit", "rows_at_once"]

Name = Literal["cosine", "euclidean", "xqda", "kissme"]

NAMES: Final[tuple[Name, ...]] = get_args(Name)

_SCORES: Final = 2**26
"""Scores held at once in one block: 256 MiB in float32."""

_PART: Final = 2**24
"""Numbers of the gallery's features read at once: 64 MiB in float32."""

KEPT: Final = 2**27
"""A gallery of at most so many prepared numbers (512 MiB in float32) is prepared once, not for each block."""


class Rows(Protocol):
    """Features [n, D] that are read in parts: an array, a memory-mapped one, or what stands for one."""

    @property
    def ndim(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Distance:
    """How two features are compared.

    Attributes:
        name: one of :data:`NAMES`.
        projection: float32 [D, d], of a learned distance; None otherwise.
        prepared: the features are prepared already, as float32 arrays in memory.
    """

    name: Name
    projection: npt.NDArray[np.float32] | None = None
    prepared: bool = False

    @property
    def of_equals(self) -> float:
        """The score of two equal features; ``of_equals - score`` is never negative but for rounding."""
        return 1.0 if self.name == "cosine" else 0.0

    @property
    def of_prepared(self) -> Distance:
        """The same distance between features that are prepared already."""
        return Distance(self.name if self.projection is None else "euclidean", prepared=True)

    def length(self, dimension: int) -> int:
        """Numbers in a prepared feature of that many."""
        return dimension if self.projection is None else int(self.projection.shape[1])

    def prepare(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """What :meth:`between` compares, float32 [n, d]: unit features for cosine, else projected ones.

        A feature of length zero stays as it is: its cosine with everything is 0.
        """
        prepared = np.asarray(features, dtype=np.float32)
        if self.prepared:
            return prepared
        if self.name == "cosine":
            lengths = np.linalg.norm(prepared, axis=1, keepdims=True)
            return np.asarray(prepared / np.where(lengths > 0, lengths, 1), dtype=np.float32)
        return prepared if self.projection is None else prepared @ self.projection

    def between(
        self,
        query: npt.NDArray[np.float32],
        gallery: npt.NDArray[np.float32],
        out: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Scores [b, n] of prepared features, higher is more alike.

        Cosine's is the cosine, the others' is minus the squared distance, which ranks as the distance does.
        """
        scores = np.matmul(query, gallery.T, out=out)
        if self.name == "cosine":
            return scores
        scores *= 2
        scores -= np.einsum("nd,nd->n", query, query)[:, None]
        scores -= np.einsum("nd,nd->n", gallery, gallery)[None, :]
        return np.minimum(scores, 0, out=scores)

    def prepare_all(self, features: Rows) -> npt.NDArray[np.float32]:
        """:meth:`prepare` of features that are read in parts, float32 [n, d]."""
        if self.prepared and isinstance(features, np.ndarray):
            return self.prepare(features)
        prepared = np.empty((len(features), self.length(features.shape[1])), dtype=np.float32)
        for part in _parts(features):
            prepared[part] = self.prepare(features[part])
        return prepared

    def scores(
        self, query: Rows, gallery: Rows, rows: int | None = None
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Scores [b, G] of queries [Q, D] against the whole gallery [G, D], in blocks of queries, in order.

        Either side may be memory-mapped. Beside them this holds two blocks of scores and one part of the
        gallery, or all of it prepared where that is small: about 1.5 GiB at most whatever Q and G are.

        Args:
            rows: queries in a block; None for as many as :func:`rows_at_once` says.

        Raises:
            ValueError: the two sides' features differ in length.
        """
        if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
            raise ValueError(
                f"features must be [Q, D] and [G, D], not {list(query.shape)} and {list(gallery.shape)}"
            )
        step = rows_at_once(len(gallery)) if rows is None else rows
        small = len(gallery) * self.length(gallery.shape[1]) <= KEPT
        kept = self.prepare_all(gallery) if small else None
        for start in range(0, len(query), step):
            block = self.prepare(query[start : start + step])
            scores = np.empty((len(block), len(gallery)), dtype=np.float32)
            for part in _parts(gallery):
                other = self.prepare(gallery[part]) if kept is None else kept[part]
                self.between(block, other, out=scores[:, part])
            yield scores


COSINE: Final = Distance("cosine")
EUCLIDEAN: Final = Distance("euclidean")


def _parts(features: Rows) -> Iterator[slice]:
    """Slices of rows that are read at once."""
    step = max(1, _PART // max(features.shape[1], 1))
    for first in range(0, len(features), step):
        yield slice(first, first + step)


def rows_at_once(gallery: int) -> int:
    """Queries in a block against a gallery of that many pictures."""
    return int(np.clip(_SCORES // max(gallery, 1), 1, 1024))


def fit(
    name: Name, features: npt.NDArray[np.floating], people: npt.ArrayLike, cameras: npt.ArrayLike
) -> Distance:
    """A distance by its name; the learned ones are fitted on a training half, which the others ignore.

    Where no person of the training half is in two cameras, pairs within a camera are used as well.

    Args:
        features: [N, D].
        people, cameras: int [N].

    Raises:
        ValueError: a learned distance has nothing to learn from.
    """
    if name in ("cosine", "euclidean"):
        return Distance(name)
    if not len(features):
        raise ValueError(f"{name} is fitted on the training half, and this protocol has none")
    pairs = np.unique(np.stack([np.asarray(people), np.asarray(cameras)]), axis=1)
    across = len(np.unique(pairs[0])) < pairs.shape[1]
    learn = fit_xqda if name == "xqda" else fit_kissme
    return Distance(name, learn(features, people, cameras, across_cameras=across))
