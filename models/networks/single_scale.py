"""The single-scale network (Yan et al., "Occluded Person Re-Identification with Single-scale Global
Representations", ICCV 2021, §3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models.networks.attention.non_local import AttentionKind, DisentangledNonLocal, NonLocal
from models.networks.attention.reconstructive import ReconstructivePooling
from models.networks.backbones import OSNet, ResNet50, build_backbone
from models.networks.embedded import Embedded
from models.networks.heads import BNNeck, HeadOutput
from models.networks.pooling import AveragePooling, GeneralisedMeanPooling

__all__ = ["SingleScale", "SingleScaleOutput"]


@dataclass  # not frozen: the mixed-precision wrapper converts the fields in place
class SingleScaleOutput:
    """Everything that the losses look at.

    Attributes:
        head: of the global feature.
        reconstructed: of the reconstructed feature f_r (eq. 2), or None where it is switched off.
    """

    head: HeadOutput
    reconstructed: HeadOutput | None


class SingleScale(nn.Module):
    """A backbone with non-local blocks inside, and two heads of which only the global one embeds.

    Both heads are a pooling, a BNNeck and the classifiers; the one of the reconstructed feature is for
    training only and not part of the exported graph.

    Args:
        backbone: name for :func:`models.networks.backbones.build_backbone`.
        identities: training identities.
        height, width: of the pictures, pixels, multiples of 16.
        dimension: D of the embedding; None for the backbone's last channels.
        dropout: probability of dropping a channel of the embedding before the classifiers.
        attention: ``"disentangled"`` (eq. 1), ``"non-local"`` as in the paper's baseline, or ``"none"``.
        reconstructive: train a second feature by reconstructive pooling (eq. 2).
        generalised_mean: GeM as the global pooling; False: the average.
        heads: H, classifiers on each feature.
        momentum: β of eq. 6; None: no mean feature is kept, and the neck embeds.

    Raises:
        ValueError: D does not divide among the heads.
    """

    has_grader = False

    mean_feature: torch.Tensor

    def __init__(
        self,
        backbone: str,
        identities: int,
        height: int,
        width: int,
        dimension: int | None = None,
        dropout: float = 0.0,
        *,
        attention: AttentionKind = "disentangled",
        reconstructive: bool = True,
        generalised_mean: bool = True,
        heads: int = 2,
        momentum: float | None = 0.9,
    ) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.has_attention = attention == "disentangled"
        self.backbone = build_backbone(backbone)
        self.attention = _attend(self.backbone, attention)
        channels = self.backbone.channels[-1]
        pooling = GeneralisedMeanPooling() if generalised_mean else AveragePooling()
        self.head = BNNeck(channels, identities, dimension, dropout, pooling, heads)
        self.reconstructed: BNNeck | None = None
        if reconstructive:
            self.reconstructed = BNNeck(
                channels, identities, dimension, dropout, ReconstructivePooling(channels), heads
            )
        self.dimension = self.head.dimension
        self.momentum = momentum
        self.register_buffer("mean_feature", torch.zeros(self.dimension))

    def forward(self, pictures: torch.Tensor) -> SingleScaleOutput:
        """Map normalised pictures float [N, 3, H, W] to both heads' outputs.

        While training, every call takes the batch into the mean feature.
        """
        features = self.backbone(pictures)
        head = self.head(features)
        if self.training and self.momentum is not None:
            self._take_into_mean(head.representation.detach())
        return SingleScaleOutput(head, None if self.reconstructed is None else self.reconstructed(features))

    def _take_into_mean(self, representations: torch.Tensor) -> None:
        """Eq. 6: μ ← β μ + (1 - β) mean of the batch's global features [N, D], each of length 1."""
        assert self.momentum is not None
        batch = functional.normalize(representations.float(), dim=1).mean(dim=0)
        self.mean_feature.mul_(self.momentum).add_(batch, alpha=1.0 - self.momentum)

    def embed(self, pictures: torch.Tensor) -> Embedded:
        """Unit embeddings, and what the last disentangled block finds salient.

        Attention is that block's softmax over the positions (eq. 1, second term), divided by its largest
        value in the picture.

        Args:
            pictures: normalised, float [N, 3, H, W].
        """
        seen: list[torch.Tensor] = []
        hooks = [
            block.register_forward_pre_hook(lambda _block, inputs: seen.append(inputs[0]))
            for block in self.attention[-1:]
        ]
        try:
            features = self.backbone(pictures)
        finally:
            for hook in hooks:
                hook.remove()
        embeddings = self._embed(features)
        if not self.has_attention:
            return Embedded(embeddings)
        height, width = int(seen[0].shape[2]), int(seen[0].shape[3])
        saliency = self.attention[-1].saliency(seen[0])  # type: ignore[operator]  # a disentangled block
        saliency = saliency / saliency.amax(dim=1, keepdim=True)
        return Embedded(embeddings, attention=saliency.unflatten(1, (height, width)))

    def _embed(self, features: torch.Tensor) -> torch.Tensor:
        """Unit embeddings [N, D] of the last feature map [N, C, h, w].

        With momentum elimination the global feature at length 1 less the mean, otherwise the neck's.
        """
        if self.momentum is None:
            return self.head.embed(features)
        feature = functional.normalize(self.head.represent(features).float(), dim=1)
        # Embeddings are compared by their cosine. Without the second normalisation nothing would be
        # gained: Euclidean distances do not change when all vectors are moved alike.
        return functional.normalize(feature - self.mean_feature, dim=1)


def _attend(backbone: ResNet50 | OSNet, kind: AttentionKind) -> nn.ModuleList:
    """Let a non-local block follow each of five blocks of the backbone.

    They are modules of their own and attached by hooks: the backbone keeps the names of its weights, so
    that ImageNet's and other runs' fit it, and whoever applies its stages one by one applies them too.

    ResNet-50: every other residual block of stages 2 and 3, two and three in all, as the paper's
    "two/three DNL layers" with reference to Wang et al. says. They see strides 8 and 16. OSNet has
    only two blocks in a stage and halves the sides behind them, so its places are those with the same
    strides: two at stride 8 (behind the blocks of its third stage) and three at stride 16 (behind that
    stage's transition and the blocks of its fourth). In stage 2 its blocks have stride 4, where the pair
    weights would have 16 times as many entries.
    """
    if kind == "none":
        return nn.ModuleList()
    stages: Any = backbone.stages  # reached into
    second, third, fourth = backbone.channels[1:]
    if isinstance(backbone, ResNet50):
        places = [(stages[1][at], second) for at in (1, 3)] + [(stages[2][at], third) for at in (1, 3, 5)]
    else:
        places = [(block, third) for block in stages[2]] + [(block, fourth) for block in stages[3][:2]]
    make = DisentangledNonLocal if kind == "disentangled" else NonLocal
    attention = nn.ModuleList()
    for block, channels in places:
        non_local = make(channels)
        block.register_forward_hook(non_local.follow)
        attention.append(non_local)
    return attention
