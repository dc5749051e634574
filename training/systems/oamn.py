"""OAMN: occlude them all (Chen et al., "Occlude Them All: Occlusion-Aware Attention Network for Occluded
Person Re-ID", ICCV 2021).

Where each step stands:

==================================  ===============================================
occlusion augmentation, §3.1        ``training.occlusion.patches``
mask module, eq. 1                  ``models.networks.oamn``, ``models.networks.attention.rga``
L_mask1, L_mask2, eq. 2 to 4        ``training.losses.mask_consistency``
grouped triplet, eq. 5 and 6        ``training.losses.grouped_triplet``
grader and its loss, eq. 7          ``models.networks.oamn``, ``training.losses.grading``
grades to types, eq. 8              ``models.occlusion.grade``
identity loss, eq. 9; sum, eq. 10   here
occlusion unification, §3.4         ``training.evaluation.unified``, ``service.matching``
ablations, tables 3 to 6            ``training.recipe.oamn``
==================================  ===============================================

Where the paper is silent, and what was chosen:

- the scale of the squared norms in eq. 2 and 3: per element of the feature map, or as ratios
  (``training.losses.mask_consistency`` says why);
- how the masked feature map enters the grader's fully-connected layer: flattened;
- whether flip and crop come before or after the copies are made: before, so that the four copies and
  their original show the same pixels and eq. 2 and 3 compare like with like;
- a patch longer than its picture (ε = 0.2, r = 0.3 and 256×128 make one of 148 pixels' width): its side is
  cut down to the picture's, its other side stays;
- the head: a BNNeck.

Departures:

- eq. 6 sums over the anchors of a group; here their mean is taken, as eq. 7 and 9 do with their pictures: by
  the paper's λ2 and λ3 a sum over 64 pictures would weigh 32 times what the identity loss does, and λ2 would
  mean something else for each batch size;
- ResNet-50's last stride is 1, and weight decay leaves out biases and normalisation, as in all systems here;
- ``oamn.toml`` trains in mixed precision (bfloat16), for speed.

The paper starts from ImageNet weights and optimises with SGD. ``oamn-scratch.toml`` stands in where there are
no such weights: AdamW, a longer schedule and mask losses as ratios. The small recipes, for machines without a
GPU, start from a baseline trained on the same data, use AdamW, label smoothing, the unsquared triplet
distance and mask losses as ratios. They also show stretched parts of
pictures and change the light (``training.data.transforms``), since weights that never saw ImageNet carry
less to other cameras; the baseline that they are held against does the same.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.networks.normalisation import normalise
from models.networks.oamn import OAMN
from training.losses.grading import grading
from training.losses.grouped_triplet import grouped_triplet
from training.losses.mask_consistency import mask_completeness, mask_invariance
from training.losses.triplet import batch_hard_triplet
from training.occlusion.patches import grader_targets, occlude_four_ways
from training.recipe import Recipe
from training.systems.stage import Batch, Stage, Step

__all__ = ["OAMNStage"]


class OAMNStage(Stage):
    """OAMN's only stage: five groups of pictures (fewer in ablations), eq. 10's two objectives.

    Args:
        recipe: as it stands in this stage.
    """

    name = "oamn"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def network(self, identities: int) -> nn.Module:
        """Encoder in two halves, mask module between them, head, grader."""
        model = self._recipe.model
        return OAMN(
            model.backbone,
            identities,
            model.height,
            model.width,
            model.dimension,
            self._recipe.oamn.split,
            model.head,
            model.dropout,
            self._recipe.oamn.mask_module,
            self._recipe.oamn.has_grader,
        )

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Occlude, run all groups (five with the paper's places) through the network at once, add up."""
        weights, own = self._recipe.losses, self._recipe.oamn
        pictures, codes = batch.pictures[None], torch.zeros_like(batch.identities)[None]
        half = torch.zeros_like(batch.identities, dtype=torch.bool)
        if own.places:
            copies = occlude_four_ways(
                batch.pictures, batch.sources.float(), own.half_share, own.blank_share, own.places
            )
            pictures, half = torch.cat((pictures, copies.pictures)), copies.half  # [G, N, 3, H, W]
            codes = torch.cat((codes, copies.codes))  # [G, N]

        groups = codes.shape
        flat = normalise(pictures.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        output = network(flat)
        identities = batch.identities.repeat(groups[0])
        identity = functional.cross_entropy(
            output.head.logits.float(), identities, label_smoothing=weights.label_smoothing
        )
        total, parts = weights.identity * identity, {"identity": identity}
        if weights.triplet > 0:
            representations = output.head.representation
            if own.triplet == "grouped":
                triplet = grouped_triplet(
                    representations.unflatten(0, groups), batch.identities, weights.margin, weights.squared
                )
            else:
                triplet = batch_hard_triplet(representations, identities, weights.margin, weights.squared)
            total, parts["triplet"] = total + weights.triplet * triplet, triplet
        if own.mask > 0 and own.places:
            features, masks = output.features.unflatten(0, groups), output.mask.unflatten(0, groups)
            masked = output.masked.unflatten(0, groups)
            invariance = mask_invariance(features[0], features[1:], masks[1:], own.relative_mask)
            completeness = mask_completeness(masked[0], masked[1:], half, own.relative_mask, own.places)
            mask = own.mask_invariance * invariance + own.mask_completeness * completeness
            total = total + own.mask * mask
            parts.update(mask_invariance=invariance, mask_completeness=completeness)
        if own.has_grader:
            # L1 (eq. 10) stands; L2 is added because its gradient reaches the grader alone: the network
            # detaches the masked features before grading them.
            grader = grading(output.grades, grader_targets(codes.flatten()))
            total, parts["grader"] = total + own.grading * grader, grader
        return Step(total, parts, len(flat))
