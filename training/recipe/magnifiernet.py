"""What MagnifierNet's recipes add (Lan et al., BMVC 2020)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from training.data.parts import LOWER_TORSO, PARTS, UPPER_TORSO
from training.recipe.tables import Table

__all__ = ["STAGES", "MagnifierNetTable"]

STAGES = ("first", "second")


class MagnifierNetTable(Table):
    """``[magnifiernet]``; the defaults are the paper's (§4.1), or the choice where it is silent.

    Attributes:
        split: stage of the backbone whose feature map the masks lie over and the two part branches read.
        masks: what eq. 1 takes in training, ``"labels"`` as in the paper (what they leave open is filled by
            the predicted masks), or ``"predicted"`` as at test time.
        mask: λ, weight of L_mask; 0 leaves the mask module out, and then there are no part branches.
        adversarial: the semantic adversarial branch (table 2).
        sampling: how regions are drawn for it (fig. 5): ``"torso"`` (Random-torso), K̂/2 of the upper and K̂/2
            of the lower body, or ``"baseline"`` (Random-baseline), K̂ of all.
        kept: K̂, regions that remain.
        background: eq. 2 keeps the background's features too, as one more region that is never drawn.
        fusion: the semantic fusion branch (table 2): ``"gru"``, its ablation ``"concatenation"`` (fig. 4),
            or ``"none"``.
        part_losses: weight of the supervised terms of the single parts, their mean.
        diversity: γ, weight of the semantic diversity loss in the second stage; 0 switches it off.
        dimension: of each part branch's embedding; they are put beside the global branch's.
    """

    split: int = Field(default=3, ge=2, le=4)
    masks: Literal["labels", "predicted"] = "labels"
    mask: float = Field(default=2.0, ge=0)
    adversarial: bool = True
    sampling: Literal["torso", "baseline"] = "torso"
    kept: int = Field(default=4, ge=1, le=len(PARTS) - 1)
    background: bool = True
    fusion: Literal["gru", "concatenation", "none"] = "gru"
    part_losses: float = Field(default=1.0, ge=0)
    diversity: float = Field(default=2e-3, ge=0)
    dimension: int = Field(default=512, ge=len(PARTS))

    @property
    def has_masks(self) -> bool:
        """Whether there is a mask module."""
        return self.mask > 0

    @property
    def has_part_branch(self) -> bool:
        """Whether anything reads the masks."""
        return self.adversarial or self.fusion != "none"

    @model_validator(mode="after")
    def _fits_together(self) -> MagnifierNetTable:
        if self.has_part_branch and not self.has_masks:
            raise ValueError(
                "the part branches read masks, which nobody teaches where mask = 0: "
                'set adversarial = false and fusion = "none" too'
            )
        if self.diversity and self.fusion == "none":
            raise ValueError(
                'the diversity loss acts in the fusion branch: fusion = "none" wants diversity = 0'
            )
        largest = 2 * min(len(UPPER_TORSO), len(LOWER_TORSO))
        if self.sampling == "torso" and (self.kept % 2 or self.kept > largest):
            raise ValueError(
                "Random-torso keeps as many regions above as below: kept must be even and at most "
                f"{largest}, not {self.kept}"
            )
        return self
