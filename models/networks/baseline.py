"""The plain baseline: a backbone and a head, no occlusion handling."""

from __future__ import annotations

import torch
from torch import nn

from models.networks.backbones import build_backbone
from models.networks.embedded import Embedded
from models.networks.heads import HeadKind, HeadOutput, build_head

__all__ = ["Baseline"]


class Baseline(nn.Module):
    """Backbone and head, trained with identity and triplet loss.

    Args:
        backbone: name for :func:`models.networks.backbones.build_backbone`.
        identities: training identities.
        height, width: of the pictures, pixels, multiples of 16.
        dimension: D of the embedding; None for the backbone's last channels.
        head, dropout: for :func:`models.networks.heads.build_head`.
    """

    has_grader = False
    has_attention = False

    def __init__(
        self,
        backbone: str,
        identities: int,
        height: int,
        width: int,
        dimension: int | None = None,
        head: HeadKind = "bnneck",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.backbone = build_backbone(backbone)
        self.head = build_head(head, self.backbone.channels[-1], identities, dimension, dropout)
        self.dimension = self.head.dimension

    def forward(self, pictures: torch.Tensor) -> HeadOutput:
        """Map normalised pictures float [N, 3, H, W] to the head's output."""
        return self.head(self.backbone(pictures))

    def embed(self, pictures: torch.Tensor) -> Embedded:
        """Unit embeddings of normalised pictures float [N, 3, H, W]."""
        return Embedded(self.head.embed(self.backbone(pictures)))
