"""A frozen network with an occlusion grader on one of its feature maps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from models.networks.embedded import Embedded
from models.networks.oamn import OcclusionGrader

__all__ = ["Graded"]


class Graded(nn.Module):
    """Another system's network, and OAMN's grader (§3.4) reading one of its backbone's feature maps.

    Args:
        network: obeys ``training.export.graph.Network`` and has a ``backbone`` whose ``stages`` it applies
            one after the other.
        split: the stage, 1 to 4, whose feature map is graded.
    """

    has_grader = True

    network: Any  # a module; Any because it is reached into

    def __init__(self, network: Any, split: int) -> None:
        super().__init__()
        self.network = network
        self.height, self.width, self.dimension = network.height, network.width, network.dimension
        self.has_attention = network.has_attention
        backbone = network.backbone
        stride = backbone.strides[split - 1]
        self.split = split
        self.grader = OcclusionGrader(
            backbone.channels[split - 1], network.height // stride, network.width // stride
        )

    def train(self, mode: bool = True) -> Graded:
        """Training changes the grader alone; the network's batch normalisation keeps its statistics."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Grades float [N, 4] of normalised pictures float [N, 3, H, W]."""
        with torch.no_grad():
            features = pictures
            for stage in self.network.backbone.stages[: self.split]:
                features = stage(features)
        return self.grader(features)

    def embed(self, pictures: torch.Tensor) -> Embedded:
        """What the network answers, and the grades of the same pass."""
        seen: list[torch.Tensor] = []
        stage = self.network.backbone.stages[self.split - 1]
        hook = stage.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        try:
            embedded = self.network.embed(pictures)
        finally:
            hook.remove()
        return replace(embedded, grades=self.grader(seen[0]))
