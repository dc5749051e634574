"""MagnifierNet: a global, a semantic adversarial and a semantic fusion branch over masks of body parts
(Lan et al., "MagnifierNet: Towards Semantic Adversary and Fusion for Person Re-identification", BMVC 2020,
§3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from models.networks.backbones import build_backbone
from models.networks.embedded import Embedded
from models.networks.heads import BNNeck, HeadOutput

__all__ = ["ConcatenatedParts", "FusedParts", "MagnifierNet", "MagnifierNetOutput", "SegmentationHead"]


class SegmentationHead(nn.Module):
    """A 3×3 deconvolution that doubles the map's sides, and a 1×1 convolution to a score per class (§3.1)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        middle = max(channels // 4, 32)
        enlarge = nn.ConvTranspose2d(channels, middle, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.enlarge = nn.Sequential(enlarge, nn.BatchNorm2d(middle), nn.ReLU(inplace=True))
        self.score = nn.Conv2d(middle, classes, 1)
        nn.init.kaiming_normal_(enlarge.weight, mode="fan_in", nonlinearity="relu")
        nn.init.normal_(self.score.weight, std=0.001)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features [N, C, h, w] to logits [N, classes, 2h, 2w]."""
        return self.score(self.enlarge(features))


class FusedParts(nn.Module):
    """Fuse a person's part features one after the other in a one-layer GRU; its last output counts (§3.3)."""

    def __init__(self, channels: int, dimension: int) -> None:
        super().__init__()
        self.gru = nn.GRU(channels, dimension)

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        """Map part features [N, K, C] to one feature [N, D]."""
        _, last = self.gru(parts.transpose(0, 1))
        return last[0]


class ConcatenatedParts(nn.Module):
    """The fusion branch's ablation (fig. 4): a 1×1 convolution for each part, then concatenation.

    The parts get the same share of the D channels, the first ones one more where they do not divide.
    """

    def __init__(self, channels: int, dimension: int, parts: int) -> None:
        super().__init__()
        shares = [dimension // parts + (place < dimension % parts) for place in range(parts)]
        self.reduce = nn.ModuleList(nn.Linear(channels, share) for share in shares)

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        """Map part features [N, K, C] to one feature [N, D]."""
        reduced = [layer(feature) for layer, feature in zip(self.reduce, parts.unbind(1), strict=True)]
        return torch.cat(reduced, dim=1)


@dataclass  # not frozen: the mixed-precision wrapper converts the fields in place
class MagnifierNetOutput:
    """Everything that MagnifierNet's losses look at; None where the network has no such part.

    Attributes:
        head: of the global branch.
        segmentation: logits [N, 1 + K, 2h, 2w], background first.
        adversarial: of the semantic adversarial branch, [2N]: the pictures with all regions, then their
            adversarial samples (eq. 2).
        fusion: of the semantic fusion branch.
        parts: p(x_k), [N, K, C].
        part_heads: for each part.
    """

    head: HeadOutput
    segmentation: torch.Tensor | None = None
    adversarial: HeadOutput | None = None
    fusion: HeadOutput | None = None
    parts: torch.Tensor | None = None
    part_heads: list[HeadOutput] | None = None


class MagnifierNet(nn.Module):
    """A backbone with a mask module and three branches.

    Args:
        backbone: name for :func:`models.networks.backbones.build_backbone`.
        identities: training identities.
        height, width: of the pictures, pixels, multiples of 16.
        parts: K, regions of the body.
        dimension: D of the global branch; None for the backbone's last channels.
        part_dimension: D of each of the other two branches.
        split: stage whose feature map is F_cnn, 2 to 4.
        masks: build the mask module; without it there are no part branches.
        adversarial: build the semantic adversarial branch.
        fusion: build the semantic fusion branch, and how.
        background: eq. 2 keeps the background's features too.
        from_labels: in training, eq. 1 takes the labels it is given; else the predicted masks.
    """

    has_grader = False

    def __init__(
        self,
        backbone: str,
        identities: int,
        height: int,
        width: int,
        parts: int,
        dimension: int | None = None,
        part_dimension: int = 512,
        split: int = 3,
        masks: bool = True,
        adversarial: bool = True,
        fusion: Literal["gru", "concatenation", "none"] = "gru",
        background: bool = True,
        from_labels: bool = True,
    ) -> None:
        super().__init__()
        self.height, self.width, self.split, self.regions = height, width, split, 1 + parts
        self.background, self.from_labels = background, from_labels
        self.has_attention = masks
        self.backbone = build_backbone(backbone)
        channels = self.backbone.channels[split - 1]
        self.head = BNNeck(self.backbone.channels[-1], identities, dimension)
        self.dimension = self.head.dimension
        self.mask_module = SegmentationHead(channels, self.regions) if masks else None
        self.adversarial: BNNeck | None = None
        self.fuse: nn.Module | None = None
        if adversarial:
            self.adversarial = _pooled_head(channels, identities, part_dimension)
            self.dimension += part_dimension
        if fusion != "none":
            self.fuse = (
                FusedParts(channels, part_dimension)
                if fusion == "gru"
                else ConcatenatedParts(channels, part_dimension, parts)
            )
            self.fusion_head = _pooled_head(part_dimension, identities)
            self.part_heads = nn.ModuleList(_pooled_head(channels, identities) for _ in range(parts))
            self.dimension += part_dimension

    def _maps(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """F_cnn, and the last feature map."""
        features = pictures
        for stage in self.backbone.stages[: self.split]:
            features = stage(features)
        last = features
        for stage in self.backbone.stages[self.split :]:
            last = stage(last)
        return features, last

    def _predicted(self, segmentation: torch.Tensor) -> torch.Tensor:
        """R_seg of F_cnn's size from logits of twice its sides: probabilities, float32 [N, 1 + K, h, w].

        The mean of two by two is what bilinear interpolation to half the sides gives.
        """
        return functional.avg_pool2d(torch.softmax(segmentation.float(), dim=1), 2)

    def _masks(self, segmentation: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """R_seg for training: no gradient flows through it, L_mask alone teaches the masks."""
        predicted = self._predicted(segmentation.detach())
        if labels is None or not self.from_labels:
            return predicted
        # Bilinear interpolation to a cell of s × s pixels is the mean of the four pixels around its centre.
        rows, columns = predicted.shape[-2:]
        stride = labels.shape[1] // rows
        middle = slice(stride // 2 - 1, stride // 2 + 1)
        cells = labels.unflatten(1, (rows, stride)).unflatten(3, (columns, stride))
        # One class more for the unknown, whose code is the largest: its share is left to the prediction.
        codes = cells[:, :, middle, :, middle].long().clamp_max(self.regions)  # [N, h, 2, w, 2]
        stated = functional.one_hot(codes, self.regions + 1).float().mean(dim=(2, 4)).permute(0, 3, 1, 2)
        return stated[:, :-1] + stated[:, -1:] * predicted

    def _kept(self, features: torch.Tensor, masks: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
        """Eq. 2: GMP over the sum of the regions that are not occluded, [N, C]; ``kept`` None: all."""
        weights = masks[:, 1:].sum(dim=1) if kept is None else masks[:, 1:][:, kept].sum(dim=1)
        if self.background:
            weights = weights + masks[:, 0]
        return (features * weights[:, None].to(features.dtype)).amax(dim=(2, 3))

    def _pooled_parts(self, features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Eq. 1 and GMP: p(x_k), [N, K, C]."""
        masks = masks.to(features.dtype)
        pooled = [(features * mask[:, None]).amax(dim=(2, 3)) for mask in masks[:, 1:].unbind(1)]
        return torch.stack(pooled, dim=1)

    def forward(
        self, pictures: torch.Tensor, labels: torch.Tensor | None = None, kept: torch.Tensor | None = None
    ) -> MagnifierNetOutput:
        """All that the losses need.

        Args:
            pictures: normalised, float [N, 3, H, W].
            labels: uint8 [N, H, W]: 0 background, 1 to K a part, larger unknown. None: predicted masks.
            kept: bool [K], the regions that remain in the adversarial samples; None: all.
        """
        features, last = self._maps(pictures)
        output = MagnifierNetOutput(self.head(last))
        if self.mask_module is None:
            return output
        output.segmentation = self.mask_module(features)
        masks = self._masks(output.segmentation, labels)
        if self.adversarial is not None:
            both = torch.cat((self._kept(features, masks, None), self._kept(features, masks, kept)))
            output.adversarial = self.adversarial(both)
        if self.fuse is not None:
            output.parts = self._pooled_parts(features, masks)
            output.fusion = self.fusion_head(self.fuse(output.parts))
            output.part_heads = [
                head(part) for head, part in zip(self.part_heads, output.parts.unbind(1), strict=True)
            ]
        return output

    def embed(self, pictures: torch.Tensor) -> Embedded:
        """Unit embeddings of normalised pictures float [N, 3, H, W], all branches side by side (§4.1).

        The attention is the probability that a cell shows a body.
        """
        features, last = self._maps(pictures)
        branches = [self.head(last).embedding]
        if self.mask_module is None:
            return Embedded(functional.normalize(branches[0].float(), dim=1))
        masks = self._predicted(self.mask_module(features))
        if self.adversarial is not None:
            branches.append(self.adversarial(self._kept(features, masks, None)).embedding)
        if self.fuse is not None:
            fused = self.fuse(self._pooled_parts(features, masks))
            branches.append(self.fusion_head(fused).embedding)
        joined = torch.cat([branch.float() for branch in branches], dim=1)
        return Embedded(functional.normalize(joined, dim=1), attention=masks[:, 1:].sum(dim=1))


def _pooled_head(channels: int, identities: int, dimension: int | None = None) -> BNNeck:
    """A head for features that are pooled already, [N, C]."""
    return BNNeck(channels, identities, dimension, pooling=nn.Identity())
