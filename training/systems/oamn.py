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
==================================  ===============================================

Where the paper is silent, and what was chosen:

- the scale of the squared norms in eq. 2 and 3: per element of the feature map, or as ratios
  (``training.losses.mask_consistency`` says why);
- how the masked feature map enters the grader's fully-connected layer: flattened;
- whether flip and crop come before or after the copies are made: before, so that the four copies and
  their original show the same pixels and eq. 2 and 3 compare like with like;
- the head: a BNNeck.

The paper starts from ImageNet weights and optimises with SGD. The ``-scratch`` recipes stand in for
machines without such weights: they start from a baseline trained on the same data, use AdamW, label
smoothing, the unsquared triplet distance and mask losses as ratios. They also show stretched parts of
pictures and change the light (``training.data.transforms``), since weights that never saw ImageNet carry
less to other cameras; the baseline that they are held against does the same.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.networks.normalisation import normalise
from models.networks.oamn import OAMN
from models.occlusion import PLACES
from training.losses.grading import grading
from training.losses.grouped_triplet import grouped_triplet
from training.losses.mask_consistency import mask_completeness, mask_invariance
from training.occlusion.patches import grader_targets, occlude_four_ways
from training.recipe import Recipe
from training.systems.stage import Batch, Stage, Step

__all__ = ["OAMNStage"]

_GROUPS = 1 + len(PLACES)


class OAMNStage(Stage):
    """OAMN's only stage: five groups of pictures, eq. 10's two objectives.

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
        )

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Occlude, run all five groups through the network at once, add up the losses."""
        weights, own = self._recipe.losses, self._recipe.oamn
        count = len(batch.pictures)
        copies = occlude_four_ways(batch.pictures, batch.sources.float(), own.half_share, own.blank_share)
        groups = torch.cat((batch.pictures[None], copies.pictures))  # [5, N, 3, H, W]
        codes = torch.cat((torch.zeros_like(copies.codes[:1]), copies.codes))  # [5, N]

        flat = normalise(groups.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        output = network(flat)
        features = output.features.unflatten(0, (_GROUPS, count))
        masks = output.mask.unflatten(0, (_GROUPS, count))
        masked = output.masked.unflatten(0, (_GROUPS, count))
        representations = output.head.representation.unflatten(0, (_GROUPS, count))

        invariance = mask_invariance(features[0], features[1:], masks[1:], own.relative_mask)
        completeness = mask_completeness(masked[0], masked[1:], copies.half, own.relative_mask)
        mask = own.mask_invariance * invariance + own.mask_completeness * completeness
        triplet = grouped_triplet(representations, batch.identities, weights.margin, weights.squared)
        identity = functional.cross_entropy(
            output.head.logits.float(),
            batch.identities.repeat(_GROUPS),
            label_smoothing=weights.label_smoothing,
        )
        grader = grading(output.grades, grader_targets(codes.flatten()))
        # L1 (eq. 10); L2 is added because its gradient reaches the grader alone: the network detaches
        # the masked features before grading them.
        total = own.mask * mask + weights.triplet * triplet + weights.identity * identity
        total = total + own.grading * grader
        parts = {
            "identity": identity,
            "triplet": triplet,
            "mask_invariance": invariance,
            "mask_completeness": completeness,
            "grader": grader,
        }
        return Step(total, parts, len(flat))
