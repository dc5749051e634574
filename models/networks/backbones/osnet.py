"""OSNet: omni-scale feature learning (Zhou et al., "Omni-Scale Feature Learning for Person
Re-Identification", ICCV 2019).

A small network made for re-identification: every block looks at four scales at once and mixes them by
gates that depend on the picture. It trains well from scratch, which matters where no pre-trained
weights can be had.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["OSNet"]


class _ConvBNReLU(nn.Sequential):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class _LightConv3x3(nn.Sequential):
    """A 3×3 convolution factored into 1×1 and depthwise 3×3 (the paper's "Lite 3×3", fig. 3b)."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )


class _AggregationGate(nn.Module):
    """Channel weights that depend on the picture, one gate shared by all streams (paper, eq. 3)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        pooled = features.mean(dim=(2, 3), keepdim=True)
        return features * torch.sigmoid(self.excite(torch.relu(self.squeeze(pooled))))


class _OmniScaleBlock(nn.Module):
    """Four streams of one to four Lite 3×3 convolutions, gated, added, residual (paper, fig. 4)."""

    def __init__(self, inputs: int, outputs: int, bottleneck: int = 4) -> None:
        super().__init__()
        middle = outputs // bottleneck
        self.reduce = _ConvBNReLU(inputs, middle, 1)
        self.streams = nn.ModuleList(
            nn.Sequential(*(_LightConv3x3(middle) for _ in range(depth))) for depth in (1, 2, 3, 4)
        )
        self.gate = _AggregationGate(middle)
        self.restore = nn.Sequential(nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = (
            nn.Identity()
            if inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        reduced = self.reduce(features)
        mixed = self.gate(self.streams[0](reduced))
        for stream in self.streams[1:]:
            mixed = mixed + self.gate(stream(reduced))
        return torch.relu(self.restore(mixed) + self.shortcut(features))


def _transition(channels: int) -> nn.Sequential:
    """1×1 convolution and halving of both sides."""
    return nn.Sequential(_ConvBNReLU(channels, channels, 1), nn.AvgPool2d(2))


class OSNet(nn.Module):
    """OSNet with a width multiplier.

    The paper's stem and conv2 to conv5, cut into four stages with the strides of a ResNet whose last
    stride is 1 (4, 8, 16, 16), so that "after stage 3" means the same depth of view in both.

    Example:
        >>> OSNet(width=0.25)(torch.zeros(1, 3, 256, 128)).shape
        torch.Size([1, 128, 16, 8])

    Args:
        width: factor on all channel counts; the paper's are 1.0, 0.75, 0.5 and 0.25.

    Raises:
        ValueError: the width leaves a block without channels.
    """

    strides = (4, 8, 16, 16)

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        if width * 64 < 4:
            raise ValueError(f"OSNet width must be at least 0.0625, not {width}")
        stem, second, third, fourth = (int(width * channels) for channels in (64, 256, 384, 512))
        self.channels = (stem, second, third, fourth)
        self.stages = nn.ModuleList(
            (
                nn.Sequential(_ConvBNReLU(3, stem, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1)),
                nn.Sequential(
                    _OmniScaleBlock(stem, second), _OmniScaleBlock(second, second), _transition(second)
                ),
                nn.Sequential(
                    _OmniScaleBlock(second, third), _OmniScaleBlock(third, third), _transition(third)
                ),
                nn.Sequential(
                    _OmniScaleBlock(third, fourth),
                    _OmniScaleBlock(fourth, fourth),
                    _ConvBNReLU(fourth, fourth, 1),
                ),
            )
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Map normalised pictures float [N, 3, H, W] to the last feature map [N, C, H/16, W/16]."""
        features = pictures
        for stage in self.stages:
            features = stage(features)
        return features
