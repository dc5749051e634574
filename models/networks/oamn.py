"""OAMN: the occlusion-aware mask network (Chen et al., "Occlude Them All", ICCV 2021, §3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models.networks.attention.rga import SpatialRelationAttention
from models.networks.backbones import build_backbone
from models.networks.embedded import Embedded
from models.networks.heads import HeadKind, HeadOutput, build_head
from models.occlusion import PLACES

__all__ = ["OAMN", "OAMNOutput", "OcclusionGrader"]


class OcclusionGrader(nn.Module):
    """One fully-connected layer and a softmax over the four places (OAMN §3.4).

    The paper does not say how the masked feature map enters the layer. It is flattened: pooling would
    take away where a thing is, and where is what the grader is asked.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels * height * width, len(PLACES))
        nn.init.normal_(self.score.weight, std=0.001)
        nn.init.zeros_(self.score.bias)

    def forward(self, masked: torch.Tensor) -> torch.Tensor:
        """Map masked features [N, C, h, w] to scores [N, 4] that sum to one."""
        return torch.softmax(self.score(masked.flatten(1)).float(), dim=1)


@dataclass  # not frozen: the mixed-precision wrapper converts the fields in place
class OAMNOutput:
    """Everything that OAMN's losses look at.

    Attributes:
        features: f, [N, C, h, w], after the lower part of the encoder.
        mask: m, [N, 1, h, w] (eq. 1), or None without a mask module.
        masked: g = m ⊙ f, [N, C, h, w] (eq. 1); f itself without a mask module.
        head: representation h, embedding and logits r.
        grades: T(g), [N, 4], or None without a grader; no gradient reaches g through them.
    """

    features: torch.Tensor
    mask: torch.Tensor | None
    masked: torch.Tensor
    head: HeadOutput
    grades: torch.Tensor | None


class OAMN(nn.Module):
    """A backbone split in two, a mask module between the halves, a head and a grader.

    Args:
        backbone: name for :func:`models.networks.backbones.build_backbone`.
        identities: training identities.
        height, width: of the pictures, pixels, multiples of 16.
        dimension: D of the embedding; None for the backbone's last channels.
        split: the stage after which the mask module stands, 1 to 4; the paper's best is 3 (table 5).
        head, dropout: for :func:`models.networks.heads.build_head`.
        mask_module, grader: False leaves the module out, for ablations (table 6).

    Raises:
        ValueError: ``split`` is not 1 to 4, or a side is not a multiple of 16.
    """

    def __init__(
        self,
        backbone: str,
        identities: int,
        height: int,
        width: int,
        dimension: int | None = None,
        split: int = 3,
        head: HeadKind = "bnneck",
        dropout: float = 0.0,
        mask_module: bool = True,
        grader: bool = True,
    ) -> None:
        super().__init__()
        if not 1 <= split <= 4:
            raise ValueError(f"the mask module stands after stage 1 to 4, not {split}")
        if height % 16 or width % 16:
            raise ValueError(f"height and width must be multiples of 16, not {height} and {width}")
        self.height, self.width, self.split = height, width, split
        self.has_grader, self.has_attention = grader, mask_module
        self.backbone = build_backbone(backbone)
        channels = self.backbone.channels[split - 1]
        stride = self.backbone.strides[split - 1]
        rows, columns = height // stride, width // stride
        self.mask_module = SpatialRelationAttention(channels, rows, columns) if mask_module else None
        self.head = build_head(head, self.backbone.channels[-1], identities, dimension, dropout)
        self.grader = OcclusionGrader(channels, rows, columns) if grader else None
        self.dimension = self.head.dimension

    def _lower(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """f = E^I(x), m = M(f) and g = m ⊙ f (eq. 1)."""
        features = pictures
        for stage in self.backbone.stages[: self.split]:
            features = stage(features)
        if self.mask_module is None:
            return features, None, features
        mask = self.mask_module(features)
        return features, mask, mask * features

    def _higher(self, masked: torch.Tensor) -> torch.Tensor:
        """E^II(g), before pooling."""
        for stage in self.backbone.stages[self.split :]:
            masked = stage(masked)
        return masked

    def forward(self, pictures: torch.Tensor) -> OAMNOutput:
        """Map normalised pictures float [N, 3, H, W] to all that the losses need."""
        features, mask, masked = self._lower(pictures)
        head = self.head(self._higher(masked))
        # "We do not back propagate its gradients to other modules" (OAMN §3.4).
        grades = None if self.grader is None else self.grader(masked.detach())
        return OAMNOutput(features, mask, masked, head, grades)

    def embed(self, pictures: torch.Tensor) -> Embedded:
        """Unit embeddings, grades and masks of normalised pictures float [N, 3, H, W]."""
        _, mask, masked = self._lower(pictures)
        return Embedded(
            self.head.embed(self._higher(masked)),
            None if self.grader is None else self.grader(masked),
            None if mask is None else mask.squeeze(1).float(),
        )
