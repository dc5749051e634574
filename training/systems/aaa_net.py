"""AAA-Net: the attention-aware adversarial network (Shen et al., "Attention-Aware Adversarial Network for
Person Re-Identification", Applied Sciences 9(8), 2019).

Where each step stands:

=============================================  ====================================================
baseline network, §3.1                         stage ``baseline``: ``training.systems.baseline``
16 occluded feature maps, algorithm 1          ``models.networks.aaa_net.cell_masks``
M_occ, the hardest of them, algorithm 1        ``models.networks.aaa_net.AAANet.hardest``
w, of which M_att = f_r × w, §3.2              ``models.networks.attention.assignment``
L_att and L_r, eq. 2 and 3                     ``training.losses.attention_assignment``
their sum, eq. 1                               stage ``assignment``: :class:`AssignmentStage`
0-1 mask, algorithm 2                          ``models.networks.aaa_net.hide_highest``
p_bf and p_af, algorithm 2                     ``models.networks.aaa_net.OccludedOutput``
eq. 4, alternating samples, §3.3               stage ``adversarial``: :class:`AdversarialStage`
Euclidean, XQDA, KISSME, tables 1 to 5         ``penumbra-train evaluate --distance``
=============================================  ====================================================

The paper counts a ResNet's stem as its first convolutional module: its third, the best one ("res3d"), is
stage 2 here.

Where the paper is silent or can be read in several ways, and what was chosen:

- Attention and M_att: eq. 2 subtracts a feature map from M_att, though the attention is drawn as a map of
  positions. Here the attention is one weight w for each position, and M_att the feature map multiplied by it,
  §3.3's "attention-aware feature maps", which have M_occ's shape.
- "High values": M_att is high where f_r responds and the attention keeps the response, low where there is
  nothing and in the cell that matters most, as in M_occ; so what is high is the rest of what is important.
- The 0-1 mask hides the third of the positions where M_att is highest. The paper says so, with f_r in M_att's
  place, of training without the fine-tuned start only; one rule serves both.
- What is classified: algorithm 2 multiplies "the feature maps of the middle layer" by the mask, §3.3 says at
  more length that the attention-aware feature maps are "occluded by the attention mask": f × attention ×
  mask. So the region that matters most is dampened by the attention, and those next to it are hidden by the
  mask, "multiple parts of important regions".
- The scale of the norms in eq. 2 and 3: ratios to f_r's (``training.losses.attention_assignment`` says why).
- M_occ in the third stage: found as in the second, with the weights as they stand, so that the template
  moves on once a region no longer matters. It is computed only where eq. 4 does not switch it off.
- Mask and attention let no gradient of the cross-entropy through, and eq. 4 reaches the attention alone:
  reaching f_r, it could fall by the feature map becoming easier to fit instead of the attention better. The
  rest of the network learns from the cross-entropy of the same samples, which eq. 4's condition switches too,
  since by the paper it "determines whether the parameters of the entire network are updated".
- p_bf and p_af are computed without dropout, or their difference would be that of two draws.
- Occluded feature maps do not move the batch normalisation's running statistics; at test time whole
  pictures are compared.
- "We take turns to train a number of occluded samples and unabridged samples": batches in turn.
- Compared at test time: the pooled feature in front of the classifier, of the whole feature map. The
  bundle's embeddings have unit length, so their Euclidean distance ranks as their cosine does.
- Batch size, momentum, weight decay, flip and crop: those of the other recipes.

Departures:

- Eq. 2's norm is squared: as written it leaves the attention at 1 (``training.losses.attention_assignment``
  shows why). On 3600 pictures under the light baseline, where the likeliest of 16 cells is the hardest of
  24 % of them, 1000 steps of it left w = 1.000 in all cells and L_att as it was; 330 steps squared, by the
  small recipes' AdamW at 3e-3, led to 0.82 in the hardest cell and 0.94 elsewhere on pictures not trained
  on, and L_att from 0.083 to 0.067.
- The second stage of ``aaa-net.toml`` takes the paper's learning rate with Adam instead of SGD, whose steps
  depend on the scale of eq. 2's norm, which the paper does not give. In the same trial 330 steps at the
  paper's 1e-4 lowered all cells alike by SGD (0.932, 0.934), and told them apart by Adam (0.864, 0.925).
- ResNet-50's last stride is 1, and weight decay leaves out biases and normalisation, as in all systems here;
- ``aaa-net.toml`` trains in mixed precision (bfloat16), for speed.

The small recipes take head and losses of the baseline that all of them are held against, so with a triplet
loss, which is not the paper's. On occluded samples it acts on the occluded representations of the whole
batch, whatever eq. 4 says.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models.networks.aaa_net import AAANet, AssignmentOutput, cell_masks
from models.networks.heads import HeadOutput
from models.networks.normalisation import normalise
from training.losses.attention_assignment import assignment_fit, assignment_regulariser
from training.losses.triplet import batch_hard_triplet
from training.recipe import Recipe
from training.systems.stage import Batch, Stage, Start, Step

__all__ = ["AdversarialStage", "AssignmentStage"]


class AssignmentStage(Stage):
    """The attention assignment network (§3.2, algorithm 1): eq. 1, on the frozen baseline.

    Args:
        recipe: as it stands in this stage.

    Raises:
        ValueError: the feature map is smaller than the grid.
    """

    name = "assignment"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        _check(recipe)

    def network(self, identities: int) -> nn.Module:
        """The baseline, frozen, and an attention network."""
        return _network(self._recipe, identities, frozen=True)

    def begin(self, network: nn.Module, start: Start) -> None:
        """Take over the trained baseline; the attention is fresh."""
        _take_over(network, start, "baseline")

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Find each picture's hardest cell, and fit the attention to what it leaves."""
        output = network(normalise(batch.pictures), batch.identities, "assignment")
        fit, regulariser = (loss.mean() for loss in _adversarial(output, self._recipe.aaa_net.squared))
        parts = {"attention": fit, "regulariser": regulariser}
        return Step(fit + regulariser, parts, len(batch.pictures))


class AdversarialStage(Stage):
    """The attention-aware adversarial network (§3.3, algorithm 2): whole and occluded samples in turn.

    Args:
        recipe: as it stands in this stage.

    Raises:
        ValueError: the feature map is smaller than the grid.
    """

    name = "adversarial"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._settings = recipe.aaa_net
        _check(recipe)

    def network(self, identities: int) -> nn.Module:
        """The baseline, all of it trained, and its attention network where the recipe has one."""
        return _network(self._recipe, identities, frozen=False)

    def begin(self, network: nn.Module, start: Start) -> None:
        """Take over the stage that the recipe starts this one from."""
        _take_over(network, start, self._settings.start)

    def step(self, network: nn.Module, batch: Batch) -> Step:
        """Cross-entropy on whole samples, or cross-entropy and eq. 4 on occluded ones."""
        pictures = normalise(batch.pictures)
        if batch.step // self._settings.turn % 2 == 0:
            return self._whole(network(pictures, batch.identities, "whole"), batch)
        return self._occluded(network, pictures, batch)

    def _whole(self, output: HeadOutput, batch: Batch) -> Step:
        identity = self._identity(output, batch).mean()
        total, parts = self._with_triplet(
            self._recipe.losses.identity * identity, {"identity": identity}, output, batch
        )
        return Step(total, parts, len(batch.pictures))

    def _occluded(self, network: nn.Module, pictures: torch.Tensor, batch: Batch) -> Step:
        settings = self._settings
        output = network(pictures, batch.identities, "occluded", settings.gap)
        opened = output.opened.float()
        identity = self._identity(output.head, batch)
        losses = self._recipe.losses.identity * identity
        parts = {"identity_occluded": identity.mean(), "opened": opened.mean()}
        if output.assignment is not None:
            fit, regulariser = _adversarial(output.assignment, settings.squared)
            losses = losses + settings.regulariser * regulariser + settings.attention * fit  # eq. 4
            for name, loss in (("attention", fit), ("regulariser", regulariser)):
                parts[name] = (opened * loss).sum() / opened.sum().clamp_min(1.0)
        total, parts = self._with_triplet((opened * losses).mean(), parts, output.head, batch)
        return Step(total, parts, len(batch.pictures))

    def _identity(self, output: HeadOutput, batch: Batch) -> torch.Tensor:
        """Cross-entropy of each picture, [N]."""
        return functional.cross_entropy(
            output.logits.float(),
            batch.identities,
            label_smoothing=self._recipe.losses.label_smoothing,
            reduction="none",
        )

    def _with_triplet(
        self, total: torch.Tensor, parts: dict[str, torch.Tensor], output: HeadOutput, batch: Batch
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Add the triplet loss where the recipe has one."""
        weights = self._recipe.losses
        if not weights.triplet:
            return total, parts
        triplet = batch_hard_triplet(output.representation, batch.identities, weights.margin, weights.squared)
        return total + weights.triplet * triplet, {**parts, "triplet": triplet}


def _adversarial(output: AssignmentOutput, squared: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """L_att and L_r of each picture, [N]."""
    return (
        assignment_fit(output.attended, output.template, output.features, squared),
        assignment_regulariser(output.attended, output.features),
    )


def _check(recipe: Recipe) -> None:
    """Fail before the first stage is trained if a later one cannot be made."""
    model = recipe.model
    stride = (4, 8, 16, 16)[recipe.aaa_net.split - 1]
    cell_masks(model.height // stride, model.width // stride, recipe.aaa_net.cells)


def _network(recipe: Recipe, identities: int, *, frozen: bool) -> AAANet:
    model, own = recipe.model, recipe.aaa_net
    return AAANet(
        model.backbone,
        identities,
        model.height,
        model.width,
        model.dimension,
        own.split,
        own.cells,
        own.hidden,
        own.start == "assignment",
        frozen,
        model.head,
        model.dropout,
    )


def _take_over(network: Any, start: Start, stage: str) -> None:
    """Load an earlier stage's weights; only the attention may be missing there."""
    loaded = network.load_state_dict(start.earlier(stage).state_dict(), strict=False)
    assert not loaded.unexpected_keys
    assert all(name.startswith("attention.") for name in loaded.missing_keys), loaded.missing_keys
