"""MagnifierNet: semantic adversary and fusion (Lan et al., "MagnifierNet: Towards Semantic Adversary and
Fusion for Person Re-identification", BMVC 2020).

Where each step stands:

======================================  ===============================================
mask module and its head, §3.1          ``models.networks.magnifiernet``
semantic aligned representation, eq. 1  ``models.networks.magnifiernet``
adversarial samples, eq. 2              ``models.networks.magnifiernet``
region sampling, §3.2                   ``training.occlusion.semantic_regions``
semantic fusion, §3.3                   ``models.networks.magnifiernet``
semantic diversity loss, eq. 3          ``training.losses.semantic_diversity``
L_mask, eq. 4                           ``training.losses.segmentation``
sum, eq. 4; two stages, §3 and §4.1     here
seven parts, §4.1                       ``training.data.parts``
part labels, §3.1                       ``training.data.part_labels``, ``training.data.part_prior``
======================================  ===============================================

Where the paper is silent or open to more than one reading, and what was chosen:

- F_cnn is the output of the third of the backbone's four stages (stride 16); the global branch goes on
  through the fourth, whose down-sampling is removed.
- Eq. 1 takes the labels in training and the predicted masks at test (``masks = "labels"``); pixels that the
  labels leave open take the prediction. The predicted masks are probabilities, not their argmax: so the
  embedding is a continuous function of the picture, as a bundle in another arithmetic needs it. No gradient
  of the identity losses reaches the masks: only L_mask teaches them.
- The segmentation head's structure: a 3×3 deconvolution and a 1×1 convolution.
- "We still aggregate the representations of all pixels" predicted as background: background is one more
  region of eq. 2 that is never drawn (``background``). The fusion branch takes the K parts alone: §3.3 feeds
  it "a feature for each body part", to be freed of "noisy backgrounds", and eq. 3 counts pairs of K regions.
- The adversarial branch is "trained along with original images": one head sees the pictures with all regions
  and their adversarial samples, so that its batch normalisation knows what comes at test time. The regions
  are drawn once for a batch. The two halves' losses are averaged (0.5 each), so that the branch counts as
  much as each other one in eq. 4; the paper gives no weight.
- Eq. 3 without each part's cosine with itself, see ``training.losses.semantic_diversity``.
- The width of the two part branches (``dimension``), and the terms of the single parts: identity and
  triplet loss as for every branch, their mean over the parts weighed by ``part_losses``.
- At test the branches' embeddings after their necks are put side by side and scaled to unit length together.
- The second stage's learning rate is constant.

The paper takes framework and optimiser settings from reid-strong-baseline (Luo et al., CVPRW 2019) without
repeating them. It never mentions random erasing, which that framework has with probability 0.5, nor its
optional centre loss, of which eq. 4 has no term: both are left out. Nor does it speak of weight decay: biases
and normalisation have none, as in all systems here.

Departures: ``magnifiernet.toml`` trains in mixed precision (bfloat16), for speed. Where a data set has no
label maps (here: Market-1501), a stated prior stands in for the human parser (``training.data.part_prior``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models.networks.heads import HeadOutput
from models.networks.magnifiernet import MagnifierNet
from models.networks.normalisation import normalise
from training.data.parts import PARTS
from training.losses.segmentation import segmentation
from training.losses.semantic_diversity import semantic_diversity
from training.losses.triplet import batch_hard_triplet
from training.occlusion.semantic_regions import draw_kept_regions
from training.recipe import Recipe
from training.recipe.magnifiernet import STAGES
from training.systems.stage import Batch, Stage, Start, Step

__all__ = ["MagnifierNetStage"]


class MagnifierNetStage(Stage):
    """One of MagnifierNet's two stages: the same network and losses, the second with the diversity loss.

    Args:
        recipe: as it stands in this stage.
        name: of the stage.
    """

    def __init__(self, recipe: Recipe, name: str) -> None:
        self.name = name
        self._recipe = recipe

    def network(self, identities: int) -> nn.Module:
        """A backbone with a mask module and three branches, as far as the recipe has them."""
        model, own = self._recipe.model, self._recipe.magnifiernet
        return MagnifierNet(
            model.backbone,
            identities,
            model.height,
            model.width,
            len(PARTS),
            model.dimension,
            own.dimension,
            own.split,
            masks=own.has_masks,
            adversarial=own.adversarial,
            fusion=own.fusion,
            background=own.background,
            from_labels=own.masks == "labels",
        )

    def begin(self, network: Any, start: Start) -> None:
        """The second stage goes on from the first one's weights (§3)."""
        if self.name != STAGES[0]:
            network.load_state_dict(start.earlier(STAGES[0]).state_dict())

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Draw the regions that remain, and add up eq. 4 over all branches."""
        own = self._recipe.magnifiernet
        pictures = normalise(batch.pictures).contiguous(memory_format=torch.channels_last)
        kept = draw_kept_regions(own.kept, own.sampling, pictures.device) if own.adversarial else None
        output = network(pictures, batch.parts, kept)

        parts: dict[str, torch.Tensor] = {}
        total, parts["identity"], parts["triplet"] = self._reid(output.head, batch.identities)
        if output.adversarial is not None:
            # Like with like: a triplet holds whole pictures or adversarial samples, not both.
            whole, adversarial = _halves(output.adversarial)
            for name, head in (("adversarial", adversarial), ("regions", whole)):
                parts[name], _, _ = self._reid(head, batch.identities)
                total = total + 0.5 * parts[name]
        if output.fusion is not None:
            parts["fusion"], _, _ = self._reid(output.fusion, batch.identities)
            single = [self._reid(head, batch.identities)[0] for head in output.part_heads]
            parts["parts"] = torch.stack(single).mean()
            total = total + parts["fusion"] + own.part_losses * parts["parts"]
            if self.name != STAGES[0] and own.diversity:
                parts["diversity"] = semantic_diversity(output.parts)
                total = total + own.diversity * parts["diversity"]
        if output.segmentation is not None:
            assert batch.parts is not None  # the recipe was checked
            parts["mask"] = segmentation(output.segmentation, batch.parts)
            total = total + own.mask * parts["mask"]
        return Step(total, parts, len(pictures))

    def _reid(
        self, head: HeadOutput, identities: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """L_cls + L_tri of one branch by the recipe's weights, and the two alone."""
        weights = self._recipe.losses
        identity = functional.cross_entropy(
            head.logits.float(), identities, label_smoothing=weights.label_smoothing
        )
        triplet = batch_hard_triplet(head.representation, identities, weights.margin, weights.squared)
        return weights.identity * identity + weights.triplet * triplet, identity, triplet


def _halves(output: HeadOutput) -> tuple[HeadOutput, HeadOutput]:
    """The output for the pictures with all regions, and for their adversarial samples."""
    pairs = [value.chunk(2) for value in (output.representation, output.embedding, output.logits)]
    return HeadOutput(*(pair[0] for pair in pairs)), HeadOutput(*(pair[1] for pair in pairs))
