"""A grader taught on a frozen network of another system, so that its bundle can be unified (OAMN §3.4).

The occluders, the targets and the loss are OAMN's; the network it reads from does not change by a bit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from models.networks.graded import Graded
from models.networks.normalisation import normalise
from models.occlusion import PLACES
from training.losses.grading import grading
from training.occlusion.patches import grader_targets, occlude_four_ways
from training.recipe import Recipe
from training.recipe.grader import STAGE, GraderTable
from training.systems.stage import Batch, Stage, Start, Step

__all__ = ["GraderStage"]


class GraderStage(Stage):
    """Eq. 7 alone, on the frozen network of the stage before.

    Args:
        recipe: as it stands in this stage.
        graded: the stage whose network gets the grader.
    """

    name = STAGE

    def __init__(self, recipe: Recipe, graded: Stage) -> None:
        self._settings = recipe.grader or GraderTable()
        self._graded = graded

    def network(self, identities: int) -> nn.Module:
        """The stage's network with a grader on its backbone's feature map."""
        return Graded(self._graded.network(identities), self._settings.split)

    def begin(self, network: Any, start: Start) -> None:
        """Take over the trained network whole, and freeze it."""
        network.network.load_state_dict(start.earlier(self._graded.name).state_dict())
        network.network.requires_grad_(False)

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Grade the pictures and their four occluded copies."""
        settings = self._settings
        copies = occlude_four_ways(
            batch.pictures, batch.sources.float(), settings.half_share, settings.blank_share
        )
        groups = torch.cat((batch.pictures[None], copies.pictures))
        codes = torch.cat((torch.zeros_like(copies.codes[:1]), copies.codes))
        assert len(groups) == 1 + len(PLACES)
        flat = normalise(groups.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        loss = grading(network(flat), grader_targets(codes.flatten()))
        return Step(loss, {"grader": loss}, len(flat))
