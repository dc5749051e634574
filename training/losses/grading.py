"""OAMN's grader loss (Chen et al., ICCV 2021, eq. 7)."""

from __future__ import annotations

import torch

__all__ = ["grading"]


def grading(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over pictures of ‖T(g) - s‖².

    Args:
        scores: float [N, 4], the grader's.
        targets: float [N, 4], see :func:`training.occlusion.patches.grader_targets`.
    """
    return (scores.float() - targets).square().sum(dim=1).mean()
