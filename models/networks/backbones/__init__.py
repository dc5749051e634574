"""Backbones, cut into four stages so that a system can look or reach in after any of them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from models.networks.backbones.osnet import OSNet
from models.networks.backbones.resnet import ResNet50

__all__ = ["BACKBONES", "OSNet", "ResNet50", "StagedBackbone", "build_backbone"]


class StagedBackbone(Protocol):
    """What a system needs of a backbone.

    Attributes:
        stages: four modules; applied in order they map pictures [N, 3, H, W] to the last feature map
            [N, channels[3], H/16, W/16].
        channels: channels after each stage.
        strides: how many input pixels one cell of each stage's output spans, per side.
    """

    stages: nn.ModuleList
    channels: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor: ...


BACKBONES = ("resnet50", "osnet_x1_0", "osnet_x0_75", "osnet_x0_5", "osnet_x0_25")


def build_backbone(name: str) -> ResNet50 | OSNet:
    """Make a backbone by name, randomly initialised.

    Raises:
        ValueError: the name is none of :data:`BACKBONES`.
    """
    if name == "resnet50":
        return ResNet50()
    if name in BACKBONES:
        return OSNet(width=float(name.removeprefix("osnet_x").replace("_", ".")))
    raise ValueError(f"unknown backbone {name!r}; one of {', '.join(BACKBONES)}")
