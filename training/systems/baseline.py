"""The plain baseline that occlusion methods are held against: identity and triplet loss (OAMN §4.4)."""

from __future__ import annotations

from torch import nn
from torch.nn import functional

from models.networks.baseline import Baseline
from models.networks.normalisation import normalise
from training.losses.triplet import batch_hard_triplet
from training.recipe import Recipe
from training.systems.stage import Batch, Stage, Step

__all__ = ["BaselineStage"]


class BaselineStage(Stage):
    """L = λ2 · L_tri + λ3 · L_ide on whole pictures; the weights are OAMN's.

    Args:
        recipe: as it stands in this stage.
    """

    name = "baseline"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe

    def network(self, identities: int) -> nn.Module:
        """A backbone with the recipe's head."""
        model = self._recipe.model
        return Baseline(
            model.backbone, identities, model.height, model.width, model.dimension, model.head, model.dropout
        )

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Identity loss on the logits, batch-hard triplet loss on the representation."""
        weights = self._recipe.losses
        output = network(normalise(batch.pictures))
        identity = functional.cross_entropy(
            output.logits.float(), batch.identities, label_smoothing=weights.label_smoothing
        )
        total, parts = weights.identity * identity, {"identity": identity}
        if weights.triplet > 0:
            triplet = batch_hard_triplet(
                output.representation, batch.identities, weights.margin, weights.squared
            )
            total, parts = weights.triplet * triplet + total, {**parts, "triplet": triplet}
        return Step(total, parts, len(batch.pictures))
