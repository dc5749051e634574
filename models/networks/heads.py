"""The head that turns a feature map into a representation, an embedding and identity logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

__all__ = ["BNNeck", "HeadOutput"]


@dataclass  # not frozen: the mixed-precision wrapper converts the fields in place
class HeadOutput:
    """What the head makes of a feature map.

    Attributes:
        representation: float [N, D], before the neck's normalisation; metric losses act here.
        embedding: float [N, D], after it; what is compared at test time, by its cosine.
        logits: float [N, identities].
    """

    representation: torch.Tensor
    embedding: torch.Tensor
    logits: torch.Tensor


class BNNeck(nn.Module):
    """Average pooling, batch normalisation without shift, bias-free classifier (Luo et al., CVPRW 2019).

    The metric loss sees the representation before the normalisation and the identity loss the one
    after it, since the two want different geometries.

    Args:
        channels: of the feature map.
        identities: training identities, the classifier's outputs.
        dimension: D; a linear layer is put before the neck where it differs from ``channels``.
    """

    def __init__(self, channels: int, identities: int, dimension: int | None = None) -> None:
        super().__init__()
        self.dimension = dimension or channels
        self.project = nn.Identity() if self.dimension == channels else nn.Linear(channels, self.dimension)
        self.neck = nn.BatchNorm1d(self.dimension)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(self.dimension, identities, bias=False)
        if isinstance(self.project, nn.Linear):
            nn.init.kaiming_normal_(self.project.weight, mode="fan_in", nonlinearity="linear")
            nn.init.zeros_(self.project.bias)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, features: torch.Tensor) -> HeadOutput:
        """Map features [N, C, h, w] to representation, embedding and logits."""
        representation = self.project(features.mean(dim=(2, 3)))
        embedding = self.neck(representation)
        return HeadOutput(representation, embedding, self.classifier(embedding))

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Unit embeddings [N, D] of features [N, C, h, w]."""
        return functional.normalize(self.neck(self.project(features.mean(dim=(2, 3)))).float(), dim=1)
