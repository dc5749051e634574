"""Poolings: each maps a feature map [N, C, h, w] to one vector [N, C]."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

__all__ = ["AveragePooling", "GeneralisedMeanPooling"]

_SMALLEST: Final = 1e-6
"""Keeps the powers' derivatives finite where a feature is zero."""


class AveragePooling(nn.Module):
    """The mean over all positions."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features [N, C, h, w] to [N, C]."""
        return features.mean(dim=(2, 3))


class GeneralisedMeanPooling(nn.Module):
    """GeM: (mean over positions of xᵖ)^(1/p), p learned (Radenović et al., TPAMI 2018).

    p = 1 is the mean; the larger p, the closer to the maximum. Features are expected to be at least
    zero, as after a ReLU.

    Args:
        power: p at the start; 3 in the paper.
    """

    def __init__(self, power: float = 3.0) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor([power]))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features [N, C, h, w] to float32 [N, C]; bfloat16 would round the powers away."""
        powers = features.float().clamp_min(_SMALLEST).pow(self.power)
        return powers.mean(dim=(2, 3)).pow(1.0 / self.power)
