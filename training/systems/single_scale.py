"""Single-scale global representations (Yan et al., "Occluded Person Re-Identification with Single-scale
Global Representations", ICCV 2021).

Where each step stands:

====================================  ====================================================
compound batch erasing, §3.2          ``training.occlusion.batch_erasing``
disentangled non-local blocks, eq. 1  ``models.networks.attention.non_local``; their places
                                      in ``models.networks.single_scale``
reconstructive pooling, eq. 2         ``models.networks.attention.reconstructive``
global (GeM) pooling                  ``models.networks.pooling``
bounded exponential distance, eq. 3   ``training.losses.bounded_exponential``
sum of the losses, eq. 5              here
two classification heads, L_c         ``models.networks.heads.GroupedClassifier``, here
momentum-effect elimination, eq. 6    ``models.networks.single_scale``
each line of table 5, fig. 5          ``training.recipe.single_scale``
====================================  ====================================================

Where the paper is silent or can be read in two ways, and what was chosen:

- z of eq. 3 has unit length. The text says that features are normalised after the global pooling, and
  §5.5 finds results stable over α but small ones weak, as it must be with distances up to 2; with
  distances that grow with the number of channels, exp(-α d) would vanish for all but small α. On the
  other side, the limits of eq. 4 speak of d → ∞: ``single_scale.unit_length = false`` reads it so. What each
  reading led to on a few drawn people stands in ``bounded_exponential``.
- "The batch size" of 64 may be B or the 2B of X_full (§3.2). It is B here: 64 different pictures, 128 in the
  one pass that both copies take together. The paper does not say how many pictures of a person a batch has;
  FastReID's Base-SBS.yml, whose values stand in the recipe, has 16 (NUM_INSTANCE).
- L_bed is given for one pair. All pairs of a batch count alike (``bounded_exponential`` says why);
  ``single_scale.balanced = true`` gives pairs of one person and pairs of two equal weight in sum.
- Metric losses act before the BNNeck of the paper's baseline (FastReID) and identity losses behind it, as
  in that baseline. The mean of eq. 6, and with it the embedding, is taken before it, "from the features
  after the global pooling": batch normalisation has subtracted a mean of its own, and behind it eq. 6
  would find nothing. Without momentum elimination the embedding is the baseline's, behind the neck.
- Two heads as in Tang et al. (NeurIPS 2020): each classifies from its own half of the channels. Eq. 5 sums
  their cross-entropies, and fig. 2's caption applies the identity loss to both features: four terms. Their
  further normalisation of features and weights inside the classifier is not mentioned, and left out.
- Subtracting one vector from all embeddings changes no Euclidean distance. Matching is by cosine, so the
  difference is brought to unit length again.
- The softmax of eq. 2 runs over positions, indices in eq. 1 and its sum are read as j where i makes no
  sense, W^v of the blocks starts at zero (each module's text says why).
- The blank of the stripe is the mean colour; random erasing is filled with noise, its paper's choice.
- OSNet's blocks stand where its feature maps have the strides that ResNet-50's have
  (``models.networks.single_scale``).

From FastReID's baseline are not taken: freezing the backbone for its first 1000 steps, AutoAugment and the
circle softmax. Its mixed precision is (bfloat16 here). Weight decay leaves out biases and normalisation, as
in all systems here. Not from the paper: a bundle gives as ``attention`` what the last disentangled block
finds salient. The ``-scratch`` and small recipes stand in where there are no ImageNet weights, as OAMN's do.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from models.networks.heads import HeadOutput
from models.networks.normalisation import normalise
from models.networks.single_scale import SingleScale
from training.losses.bounded_exponential import bounded_exponential
from training.losses.triplet import batch_hard_triplet
from training.occlusion.batch_erasing import compound_batch_erasing, erase_at_random
from training.recipe import Recipe
from training.recipe.single_scale import STAGES
from training.systems.stage import Batch, Stage, Step

__all__ = ["SingleScaleStage"]


class SingleScaleStage(Stage):
    """The only stage: erase, one pass, eq. 5.

    Args:
        recipe: as it stands in this stage.

    Raises:
        ValueError: the recipe asks for a head, or for batches, that this system cannot work with.
    """

    name = STAGES[0]

    def __init__(self, recipe: Recipe) -> None:
        if recipe.model.head != "bnneck":
            raise ValueError("single-scale has BNNecks on its two features: leave model.head out")
        if recipe.model.dimension is not None and recipe.model.dimension % recipe.single_scale.heads:
            raise ValueError(
                f"model.dimension = {recipe.model.dimension} does not divide among "
                f"single_scale.heads = {recipe.single_scale.heads}"
            )
        if recipe.sampling.pictures == 1 and recipe.single_scale.erasing != "compound":
            raise ValueError(
                "sampling.pictures = 1 gives the distance loss no pairs of one person: show two, or set "
                'single_scale.erasing = "compound"'
            )
        self._recipe = recipe

    def network(self, identities: int) -> nn.Module:
        """Backbone with non-local blocks, global head, head of the reconstructed feature."""
        model, own = self._recipe.model, self._recipe.single_scale
        return SingleScale(
            model.backbone,
            identities,
            model.height,
            model.width,
            model.dimension,
            model.dropout,
            attention=own.attention,
            reconstructive=own.reconstructive,
            generalised_mean=own.generalised_mean,
            heads=own.heads,
            momentum=own.beta if own.momentum_elimination else None,
        )

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Erase, run all copies through the network at once, add up the losses of both features (eq. 5)."""
        pictures = self._erased(batch.pictures)
        identities = batch.identities.repeat(len(pictures) // len(batch.pictures))
        output = network(normalise(pictures).contiguous(memory_format=torch.channels_last))
        heads = {"": output.head}
        if output.reconstructed is not None:
            heads["_reconstructed"] = output.reconstructed

        total = torch.zeros((), device=pictures.device)
        parts: dict[str, torch.Tensor] = {}
        for suffix, head in heads.items():
            identity, distance = self._identity(head, identities), self._distance(head, identities)
            total = total + self._recipe.losses.identity * identity + self._weight * distance
            parts |= {f"identity{suffix}": identity, f"{self._metric}{suffix}": distance}
        return Step(total, parts, len(pictures))

    def _erased(self, pictures: torch.Tensor) -> torch.Tensor:
        """The pictures as the recipe erases them: float [2N or N, 3, H, W]."""
        own = self._recipe.single_scale
        if own.erasing == "compound":
            return compound_batch_erasing(pictures, own.erase_probability)
        if own.erasing == "random":
            return erase_at_random(pictures, own.erase_probability)
        return pictures

    def _identity(self, head: HeadOutput, identities: torch.Tensor) -> torch.Tensor:
        """L_c on one feature: the sum over heads of their mean cross-entropy."""
        logits = head.logits.float()
        heads = logits.unbind(1) if logits.ndim == 3 else (logits,)
        smoothing = self._recipe.losses.label_smoothing
        losses = [functional.cross_entropy(one, identities, label_smoothing=smoothing) for one in heads]
        return torch.stack(losses).sum()

    @property
    def _metric(self) -> str:
        return "bounded_exponential" if self._recipe.single_scale.bounded else "triplet"

    @property
    def _weight(self) -> float:
        own = self._recipe.single_scale
        return own.distance if own.bounded else self._recipe.losses.triplet

    def _distance(self, head: HeadOutput, identities: torch.Tensor) -> torch.Tensor:
        """L_bed on one feature, or the baseline's triplet loss."""
        own, losses = self._recipe.single_scale, self._recipe.losses
        if own.bounded:
            return bounded_exponential(
                head.representation, identities, own.alpha, own.unit_length, own.balanced
            )
        return batch_hard_triplet(head.representation, identities, losses.margin, losses.squared)
