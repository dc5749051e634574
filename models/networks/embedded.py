"""What every network answers when it is asked to embed pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["Embedded"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Embeddings and what comes with them; the outputs of a bundle, one for one.

    Attributes:
        embeddings: float [N, D], unit length.
        grades: float [N, 4], the occlusion grader's scores (order of ``models.occlusion.PLACES``), or
            None where the network has no grader.
        attention: float [N, h, w], the spatial mask, 0 to 1, or None where the network has none.
    """

    embeddings: torch.Tensor
    grades: torch.Tensor | None = None
    attention: torch.Tensor | None = None
