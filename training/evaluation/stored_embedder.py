"""A folder's features in the place of a model, so that files are unified by the same code. No torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models import occlusion
from training.evaluation.feature_folder import About, FeatureFolderError, FeatureSide
from training.evaluation.features import Features

__all__ = ["StoredEmbedder"]


class StoredEmbedder:
    """A side's features as an :class:`~training.evaluation.features.Embedder`.

    It looks up what a model would compute: its "pictures" are row numbers, int64 [n], not pixels.
    """

    height = width = 0

    def __init__(self, about: About, side: FeatureSide):
        self._side = side
        self.name, self.fingerprint = about.name, about.fingerprint
        self.dimension = side.dimension
        self.has_grader = side.grades is not None
        self.thresholds = about.quarter_threshold, about.half_threshold

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """All row numbers, where pictures would stand."""
        return np.arange(len(self._side.people), dtype=np.int64)

    def __call__(
        self,
        images: npt.NDArray[np.integer],
        source: npt.NDArray[np.int64],
        codes: npt.NDArray[np.int64],
    ) -> Features:
        """Row n: the stored feature of ``images[source[n]]`` under ``codes[n]``.

        Raises:
            FeatureFolderError: a code other than 0 is asked for, and only whole features are stored.
        """
        rows = images[source]
        if not self._side.every_code and (codes != occlusion.NONE).any():
            raise FeatureFolderError(f"{self.name} has no features under the occlusion codes: [n, 9, D]")
        found = self._side.stored[rows, codes] if self._side.every_code else self._side.stored[rows]
        features = np.asarray(found, dtype=np.float32)
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        unit = np.asarray(features / np.where(lengths > 0, lengths, 1), dtype=np.float32)
        return Features(unit, None if self._side.grades is None else self._side.grades[rows])
