"""A model that answers queries, and what it answers from. Features of two models never meet."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.calibration import Calibration
from service.embedding.features import Embedder
from service.index.protocol import VectorIndex

__all__ = ["Generation", "Previous"]


@dataclass(frozen=True, slots=True)
class Generation:
    """One model.

    Attributes:
        embedder: the model.
        index: of features that it made, and of no others.
        calibration: what its scores mean; None where nobody knows.
    """

    embedder: Embedder
    index: VectorIndex
    calibration: Calibration | None


@dataclass(frozen=True, slots=True)
class Previous(Generation):
    """The model that was served before, which answers for galleries that are not yet brought to the present.

    Attributes:
        galleries: their numbers. One leaves when its last kept picture was embedded again; none enters.
    """

    galleries: set[int] = field(default_factory=set)
