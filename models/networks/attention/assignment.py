"""AAA-Net's attention: stacked convolutions that say how much of each position's response to keep (Shen et
al., Applied Sciences 2019, §3.2).
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["AttentionAssignment"]


class AttentionAssignment(nn.Module):
    """One weight for each position of a feature map, from a neighbourhood of 15×15 positions.

    The paper says "several stacked convolutional layers". These are three 3×3 convolutions and a 1×1;
    the first three are dilated by 1, 2 and 4, since which part matters most is only to be told beside the
    others. The last layer starts at weight 1 everywhere: nothing is suppressed before something is learnt.

    Args:
        channels: C of the feature map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 4, 16)
        layers: list[nn.Module] = []
        for inputs, dilation in ((channels, 1), (inner, 2), (inner, 4)):
            layers += [
                nn.Conv2d(inputs, inner, 3, padding=dilation, dilation=dilation, bias=False),
                nn.BatchNorm2d(inner),
                nn.ReLU(inplace=True),
            ]
        last = nn.Conv2d(inner, 1, 1)
        self.layers = nn.Sequential(*layers, last)
        for module in self.layers:
            if isinstance(module, nn.Conv2d) and module is not last:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(last.weight, std=0.001)
        assert last.bias is not None
        nn.init.ones_(last.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features [N, C, h, w] to weights [N, 1, h, w], of any sign and size."""
        return self.layers(features)
