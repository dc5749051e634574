"""AAA-Net: the attention-aware adversarial network (Shen et al., "Attention-Aware Adversarial Network for
Person Re-Identification", Applied Sciences 2019, §3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from models.networks.attention.assignment import AttentionAssignment
from models.networks.backbones import build_backbone
from models.networks.embedded import Embedded
from models.networks.heads import HeadKind, HeadOutput, build_head

__all__ = ["AAANet", "AssignmentOutput", "OccludedOutput", "Turn", "cell_masks", "hide_highest"]

Turn = Literal["assignment", "whole", "occluded"]
"""Which forward pass: of the second stage, and the third stage's two kinds of samples."""


def cell_masks(height: int, width: int, cells: int) -> torch.Tensor:
    """The masks that occlude each cell of a square grid in turn (§3.2).

    Args:
        height, width: of the feature map, positions.
        cells: along each side of the grid. Where they do not divide a side, cells differ by one position.

    Returns:
        float32 [cells², 1, height, width], 0 in the cell and 1 elsewhere; cells in raster order.

    Raises:
        ValueError: the map has fewer positions than cells along a side.
    """
    if height < cells or width < cells:
        raise ValueError(
            f"a feature map of {height}x{width} positions cannot be divided into {cells}x{cells} cells: "
            "take larger pictures, an earlier aaa_net.split or fewer aaa_net.cells"
        )
    rows = torch.arange(height) * cells // height
    columns = torch.arange(width) * cells // width
    cell = rows[:, None] * cells + columns[None]
    return (cell[None] != torch.arange(cells * cells)[:, None, None]).float().unsqueeze(1)


def hide_highest(values: torch.Tensor, share: float) -> torch.Tensor:
    """The 0-1 mask that hides the positions with the highest values.

    Args:
        values: float [N, 1, h, w].
        share: of the h·w positions to hide, above 0 and below 1; rounded to whole positions, at least one.

    Returns:
        [N, 1, h, w], as ``values`` in kind, 0 at the hidden positions and 1 elsewhere; no gradient.
    """
    flat = values.detach().flatten(1)
    count = min(max(round(share * flat.shape[1]), 1), flat.shape[1] - 1)
    mask = torch.ones_like(flat).scatter_(1, flat.topk(count, dim=1).indices, 0.0)
    return mask.view_as(values)


@dataclass  # not frozen: the mixed-precision wrapper converts the fields in place
class AssignmentOutput:
    """What eq. 1 looks at.

    Attributes:
        features: f_r, [N, C, h, w]; no gradient.
        attended: M_att, [N, C, h, w]; its gradient reaches the attention alone.
        template: M_occ, [N, C, h, w]; no gradient.
    """

    features: torch.Tensor
    attended: torch.Tensor
    template: torch.Tensor


@dataclass  # not frozen: the mixed-precision wrapper converts the fields in place
class OccludedOutput:
    """What eq. 4 looks at.

    Attributes:
        head: of the occluded feature maps.
        before: p_bf, [N], the true class's probability before occluding; no gradient.
        after: p_af, [N], after occluding; no gradient.
        opened: bool [N], p_bf - p_af > ω.
        assignment: for eq. 1; its templates are zero where ``opened`` is not. None without attention.
    """

    head: HeadOutput
    before: torch.Tensor
    after: torch.Tensor
    opened: torch.Tensor
    assignment: AssignmentOutput | None


class AAANet(nn.Module):
    """A backbone split in two, an attention on the feature map between the halves, and a head.

    Compared at test time are whole feature maps, as the baseline's are; attention and masks only train.

    Args:
        backbone: name for :func:`models.networks.backbones.build_backbone`.
        identities: training identities.
        height, width: of the pictures, pixels, multiples of 16.
        dimension: D of the embedding; None for the backbone's last channels.
        split: the stage after which feature maps are occluded, 1 to 4; the paper's best is 2, its third
            convolutional module (table 3).
        cells: of the grid, along each side.
        hidden: share of the positions that the third stage hides.
        learnt: with an attention network, which weighs f_r before its highest responses are hidden. Without
            one those of f_r itself are (§4.5).
        frozen: the attention alone is trained, and the batch normalisation of all else keeps its
            statistics.
        head, dropout: for :func:`models.networks.heads.build_head`.

    Raises:
        ValueError: ``split`` is not 1 to 4, or the feature map is smaller than the grid.
    """

    has_grader = False

    def __init__(
        self,
        backbone: str,
        identities: int,
        height: int,
        width: int,
        dimension: int | None = None,
        split: int = 2,
        cells: int = 4,
        hidden: float = 1 / 3,
        learnt: bool = True,
        frozen: bool = False,
        head: HeadKind = "bnneck",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 1 <= split <= 4:
            raise ValueError(f"feature maps are occluded after stage 1 to 4, not {split}")
        self.height, self.width = height, width
        self.split, self.hidden, self.frozen = split, hidden, frozen
        self.has_attention = learnt
        self.backbone = build_backbone(backbone)
        self.head = build_head(head, self.backbone.channels[-1], identities, dimension, dropout)
        self.dimension = self.head.dimension
        self.attention = AttentionAssignment(self.backbone.channels[split - 1]) if learnt else None
        stride = self.backbone.strides[split - 1]
        self.cells: torch.Tensor
        self.register_buffer("cells", cell_masks(height // stride, width // stride, cells), persistent=False)
        if frozen:
            self.backbone.requires_grad_(False)
            self.head.requires_grad_(False)

    def train(self, mode: bool = True) -> AAANet:
        """As usual, but what is frozen stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
            self.head.eval()
        return self

    def forward(
        self, pictures: torch.Tensor, identities: torch.Tensor, turn: Turn, gap: float = -1.0
    ) -> AssignmentOutput | OccludedOutput | HeadOutput:
        """One training pass.

        Args:
            pictures: normalised, float [N, 3, H, W].
            identities: int64 [N].
            turn: ``"assignment"``: :class:`AssignmentOutput`; ``"occluded"``: :class:`OccludedOutput`;
                ``"whole"``: the head's output on whole feature maps.
            gap: ω of eq. 4.
        """
        if turn == "assignment":
            with torch.no_grad():
                features = self._lower(pictures)
                template = self.hardest(features, identities)
            return AssignmentOutput(features, self._attend(features) * features, template)
        if turn == "occluded":
            return self._occluded(pictures, identities, gap)
        output = self.head(self._higher(self._lower(pictures)))
        if self.attention is not None:
            # Several processes average gradients parameter by parameter, so each must have one.
            output.logits = output.logits + 0.0 * sum(value.sum() for value in self.attention.parameters())
        return output

    def embed(self, pictures: torch.Tensor) -> Embedded:
        """Unit embeddings and attention of normalised pictures float [N, 3, H, W].

        The attention is the share of each position's response that is kept, so it is low where the
        identity hangs on most.
        """
        features = self._lower(pictures)
        embeddings = self.head.embed(self._higher(features))
        if self.attention is None:
            return Embedded(embeddings)
        kept = self._attend(features).squeeze(1).float().clamp(0.0, 1.0)
        return Embedded(embeddings, attention=kept)

    @torch.no_grad()
    def hardest(self, features: torch.Tensor, identities: torch.Tensor) -> torch.Tensor:
        """M_occ: the feature map with that cell occluded which leaves the true class least probable (§3.2).

        In evaluation mode, whichever mode the network is in, as the 16 copies of a batch are no sample of
        pictures.

        Args:
            features: f_r, [N, C, h, w].
            identities: int64 [N].

        Returns:
            [N, C, h, w].
        """
        masks = self.cells.to(features)
        with _evaluating(self._subsequent()):
            probabilities = torch.stack(
                [self._probability(self.head(self._higher(features * mask)), identities) for mask in masks]
            )  # [cells², N]
        return features * masks[probabilities.argmin(dim=0)]

    def _occluded(self, pictures: torch.Tensor, identities: torch.Tensor, gap: float) -> OccludedOutput:
        """Algorithm 2, on occluded samples: f_r × attention × mask (§3.3)."""
        features = self._lower(pictures)
        seen = features.detach()
        weights = torch.ones_like(seen[:, :1]) if self.attention is None else self._attend(seen)
        # Eq. 4 alone teaches the attention: the cross-entropy would have it keep what it is to take away.
        kept = weights.detach().clamp_min(0.0)
        kept = kept * hide_highest((kept * seen).mean(dim=1, keepdim=True), self.hidden)
        # Only whole pictures are compared at test time, so only they move the running statistics. The pass
        # with gradients comes first, since autocast may reuse casts of weights, and those made without
        # gradients lead nowhere.
        with _untracked(self._subsequent()):
            head = self.head(self._higher(features * kept))
            with torch.no_grad():
                before = self._probability(self.head(self._higher(seen)), identities)
        with torch.no_grad():
            after = self._probability(head, identities)
        opened = before - after > gap
        if self.attention is None:
            return OccludedOutput(head, before, after, opened, None)
        template = torch.zeros_like(seen)
        if bool(opened.any()):
            template[opened] = self.hardest(seen[opened], identities[opened])
        return OccludedOutput(head, before, after, opened, AssignmentOutput(seen, weights * seen, template))

    def _lower(self, pictures: torch.Tensor) -> torch.Tensor:
        """f_r."""
        features = pictures
        for stage in self.backbone.stages[: self.split]:
            features = stage(features)
        return features

    def _higher(self, features: torch.Tensor) -> torch.Tensor:
        """The rest of the backbone."""
        for stage in self.backbone.stages[self.split :]:
            features = stage(features)
        return features

    def _attend(self, features: torch.Tensor) -> torch.Tensor:
        """How much of each position's response to keep, [N, 1, h, w]."""
        assert self.attention is not None
        return self.attention(features)

    def _probability(self, output: HeadOutput, identities: torch.Tensor) -> torch.Tensor:
        """The true class's probability, float32 [N], no channel dropped."""
        logits = self.head.classifier(output.embedding).float()
        return logits.softmax(dim=1).gather(1, identities[:, None]).squeeze(1)

    def _subsequent(self) -> list[nn.Module]:
        """All modules behind the feature map: "the subsequent classification network"."""
        return [
            module for part in (*self.backbone.stages[self.split :], self.head) for module in part.modules()
        ]


@contextmanager
def _evaluating(modules: list[nn.Module]) -> Iterator[None]:
    """Modules in evaluation mode for a while."""
    changed = [module for module in modules if module.training]
    for module in changed:
        module.training = False
    try:
        yield
    finally:
        for module in changed:
            module.training = True


@contextmanager
def _untracked(modules: list[nn.Module]) -> Iterator[None]:
    """Batch normalisation that keeps its running statistics for a while."""
    norms = [module for module in modules if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
