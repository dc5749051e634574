"""The heads that turn a feature map into a representation, an embedding and identity logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from models.networks.pooling import AveragePooling

__all__ = ["BNNeck", "GroupedClassifier", "HeadKind", "HeadOutput", "PlainHead", "build_head"]

HeadKind = Literal["bnneck", "plain"]


@dataclass  # not frozen: the mixed-precision wrapper converts the fields in place
class HeadOutput:
    """What the head makes of a feature map.

    Attributes:
        representation: float [N, D], before the neck's normalisation; metric losses act here.
        embedding: float [N, D], after it (the representation itself where there is no neck); what is
            compared at test time, by its cosine.
        logits: float [N, identities]; [N, heads, identities] of a :class:`GroupedClassifier`.
    """

    representation: torch.Tensor
    embedding: torch.Tensor
    logits: torch.Tensor


class GroupedClassifier(nn.Module):
    """Several bias-free classifiers, each of its own group of channels (Tang et al., NeurIPS 2020).

    Args:
        dimension: D of the embedding.
        identities: training identities.
        heads: groups of D / heads neighbouring channels.

    Raises:
        ValueError: the groups would differ in size.
    """

    def __init__(self, dimension: int, identities: int, heads: int) -> None:
        super().__init__()
        if dimension % heads:
            raise ValueError(f"{dimension} channels do not divide among {heads} classification heads")
        self.weight = nn.Parameter(torch.empty(heads, identities, dimension // heads))
        nn.init.normal_(self.weight, std=0.001)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Map embeddings [N, D] to logits [N, heads, identities]."""
        heads = int(self.weight.shape[0])
        return torch.einsum("nhd,hid->nhi", embedding.unflatten(1, (heads, -1)), self.weight)


class BNNeck(nn.Module):
    """Pooling, batch normalisation without shift, bias-free classifier (Luo et al., CVPRW 2019).

    The metric loss sees the representation before the normalisation and the identity loss the one
    after it, since the two want different geometries.

    Args:
        channels: of the feature map.
        identities: training identities, the classifier's outputs.
        dimension: D; a linear layer is put before the neck where it differs from ``channels``.
        dropout: probability of dropping a channel of the embedding before the classifier.
        pooling: maps the feature map [N, C, h, w] to [N, C]; None for its average.
        heads: classifiers; from two on a :class:`GroupedClassifier`.
    """

    def __init__(
        self,
        channels: int,
        identities: int,
        dimension: int | None = None,
        dropout: float = 0.0,
        pooling: nn.Module | None = None,
        heads: int = 1,
    ) -> None:
        super().__init__()
        self.dimension = dimension or channels
        self.pooling = pooling if pooling is not None else AveragePooling()
        self.project = _projection(channels, self.dimension)
        self.neck = nn.BatchNorm1d(self.dimension)
        self.neck.bias.requires_grad_(False)
        self.dropout = nn.Dropout(dropout)
        self.classifier: nn.Module
        if heads > 1:
            self.classifier = GroupedClassifier(self.dimension, identities, heads)
        else:
            self.classifier = nn.Linear(self.dimension, identities, bias=False)
            nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, features: torch.Tensor) -> HeadOutput:
        """Map features [N, C, h, w] to representation, embedding and logits."""
        representation = self.represent(features)
        embedding = self.neck(representation)
        return HeadOutput(representation, embedding, self.classifier(self.dropout(embedding)))

    def represent(self, features: torch.Tensor) -> torch.Tensor:
        """Representations [N, D], before the neck's normalisation, of features [N, C, h, w]."""
        return self.project(self.pooling(features))

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Unit embeddings [N, D] of features [N, C, h, w]."""
        return functional.normalize(self.neck(self.represent(features)).float(), dim=1)


class PlainHead(nn.Module):
    """Average pooling, dropout, classifier: the identity baseline of AOS and AAA-Net.

    Args:
        channels: of the feature map.
        identities: training identities, the classifier's outputs.
        dimension: D; a linear layer is put after the pooling where it differs from ``channels``.
        dropout: probability of dropping a channel of the embedding before the classifier.
    """

    def __init__(
        self, channels: int, identities: int, dimension: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dimension = dimension or channels
        self.project = _projection(channels, self.dimension)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.dimension, identities)
        nn.init.normal_(self.classifier.weight, std=0.001)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, features: torch.Tensor) -> HeadOutput:
        """Map features [N, C, h, w] to representation, embedding (the same) and logits."""
        representation = self.project(features.mean(dim=(2, 3)))
        return HeadOutput(representation, representation, self.classifier(self.dropout(representation)))

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """Unit embeddings [N, D] of features [N, C, h, w]."""
        return functional.normalize(self.project(features.mean(dim=(2, 3))).float(), dim=1)


def build_head(
    kind: HeadKind, channels: int, identities: int, dimension: int | None = None, dropout: float = 0.0
) -> BNNeck | PlainHead:
    """Make a head by name, randomly initialised; for the arguments see :class:`BNNeck`."""
    head = BNNeck if kind == "bnneck" else PlainHead
    return head(channels, identities, dimension, dropout)


def _projection(channels: int, dimension: int) -> nn.Module:
    """A linear layer where the dimensions differ."""
    if dimension == channels:
        return nn.Identity()
    layer = nn.Linear(channels, dimension)
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="linear")
    nn.init.zeros_(layer.bias)
    return layer
