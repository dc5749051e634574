"""Reconstructive pooling (Yan et al., ICCV 2021, eq. 2)."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["ReconstructivePooling"]


class ReconstructivePooling(nn.Module):
    """f_r = (W^v F) softmax(W^m F)ᵀ: a weighted sum of transformed features over the positions.

    The disentangled non-local block's second term as a pooling. The paper says that the softmax selects
    channels; W^m F has one value per position (1 × wh), so it is taken over the positions.

    Args:
        channels: c of the feature map; W^v is c × c, W^m 1 × c.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Conv2d(channels, channels, 1, bias=False)
        self.salience = nn.Conv2d(channels, 1, 1, bias=False)
        nn.init.kaiming_normal_(self.value.weight, mode="fan_in", nonlinearity="linear")
        nn.init.normal_(self.salience.weight, std=0.01)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features [N, c, h, w] to [N, c]."""
        weights = self.salience(features).flatten(1).float().softmax(dim=1)
        # W^v stands outside of the sum over positions, so it is applied once per picture, not per position.
        pooled = (features.flatten(2).float() * weights.unsqueeze(1)).sum(dim=2)
        return self.value(pooled[:, :, None, None]).flatten(1)
