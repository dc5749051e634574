"""AOS: adversarially occluded samples (Huang et al., "Adversarially Occluded Samples for Person
Re-identification", CVPR 2018).

Where each step stands:

=======================================  =====================================================
identity model, eq. 1 to 3, §3.1         ``training.systems.baseline``, ``models.networks.heads.PlainHead``
sliding mask, N_pos, §3.4                ``training.occlusion.sliding``
true-class probabilities, §3.2           ``training.occlusion.mining``
eq. 4 and 5, Hard-1, No-Adversary        ``training.occlusion.selection``
Random, §4.7                             ``training.occlusion.sliding``
replacing with probability 0.5, §3.3     here
sensitivity and activation maps, §4.3    ``training.evaluation.report``
=======================================  =====================================================

The first stage trains the identity model and mines it; the second trains the same network in the same way
from the same start, not from the first stage's weights (§3.3), and shows occluded versions instead of some
pictures. Both come under their own names, so the first stage's checkpoint is the baseline that the second is
held against; the strategy Random asks no model and has the second stage alone. Sweeps (table 1, fig. 5 and
6) share the first stage, and mine again only for another mask::

    penumbra-train fit training/recipes/aos.toml --root DATA --imagenet resnet50.pth --out runs/aos-hard-1 \\
        --set aos.strategy=hard-1 --stages-from runs/aos --start-at retrain

Where the paper is silent, and what was chosen:

- a mask is drawn before mirroring, on the picture as it was mined, and mirrored with it; mining itself
  does not mirror;
- a picture whose true class loses nothing under any mask (eq. 5 divides by zero) gets each position with
  the same probability;
- "random positions" (§4.7) are any pixels, not multiples of the stride;
- the deviation of the classifier's Gaussian weights: 0.001.

Departures:

- ResNet-50's last stride is 1, as in all systems here, instead of 2: one backbone for every comparison;
- weight decay leaves out biases and normalisation, as in all systems here;
- ``aos.toml`` trains in mixed precision (bfloat16), for speed; mining is in float32 always;
- sensitivity maps are made with the mask of §4.2, zero after normalisation, activation maps of the map that
  is pooled instead of Conv4 (``training.evaluation.report`` says why);
- embeddings have unit length, as a bundle's must; the paper does not say whether its Euclidean distance
  is one of unit vectors;
- the recipes for machines without ImageNet weights say themselves what they change.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed, nn

from training.occlusion.mining import mine
from training.occlusion.selection import selection
from training.occlusion.sliding import SlidingMask, cover_squares
from training.recipe import Recipe
from training.systems.baseline import BaselineStage
from training.systems.stage import Start

__all__ = ["AOSBaselineStage", "AOSRetrainStage"]


class AOSBaselineStage(BaselineStage):
    """Phases one and two: train the identity model, and find out what it relies on.

    Args:
        recipe: as it stands in this stage.

    Raises:
        ValueError: the mask does not fit into the pictures.
    """

    name = "baseline"

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        model, own = recipe.model, recipe.aos
        self._own = own
        self._mask = SlidingMask.of_area(own.mask_area, model.height, model.width, own.stride)

    def finish(self, network: nn.Module, start: Start) -> None:
        """Mine."""
        folder = start.folder(AOSBaselineStage.name)
        mine(network, start.store, self._mask, folder, quiet=start.quiet)


class AOSRetrainStage(AOSBaselineStage):
    """Phase three: the same training again, on original and occluded samples together (§3.3)."""

    name = "retrain"

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self._selection: torch.Tensor | None = None

    def begin(self, network: Any, start: Start) -> None:
        """Look up what was mined; the weights stay as they start.

        Where the first stage comes from a run with another mask it is mined again, by one process.
        """
        if self._own.strategy == "random":
            return
        others = distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0
        if others:
            distributed.barrier()
        logarithms = mine(
            start.earlier(AOSBaselineStage.name),
            start.store,
            self._mask,
            start.folder(AOSBaselineStage.name),
            quiet=start.quiet or others,
        )
        if distributed.is_available() and distributed.is_initialized() and not others:
            distributed.barrier()
        chances = selection(logarithms, self._own.strategy)
        self._selection = chances.float().to(start.store.pictures.device)

    def cover(self, pictures: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Replace pictures by occluded versions, each with the recipe's probability."""
        count, device = len(pictures), pictures.device
        if self._own.strategy == "random":
            corners = self._mask.random_corners(count, device)
        else:
            assert self._selection is not None, "begin() comes before cover()"
            corners = self._mask.corners(torch.multinomial(self._selection[rows], 1)[:, 0])
        replaced = torch.rand(count, device=device) < self._own.probability
        return cover_squares(pictures, self._mask.covered(corners) & replaced[:, None, None])

    def finish(self, network: nn.Module, start: Start) -> None:
        """Nothing comes after this stage."""
