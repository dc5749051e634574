"""What the recipes of AAA-Net add (Shen et al., Applied Sciences 2019)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from training.recipe.tables import Table

__all__ = ["STAGES", "AAANetTable"]

STAGES = ("baseline", "assignment", "adversarial")


class AAANetTable(Table):
    """``[aaa_net]``; the defaults are the paper's (§4.2 to §4.5).

    Attributes:
        split: stage of the backbone whose feature map is occluded, 1 to 4: the paper's second to fifth
            convolutional module (table 3).
        cells: cells along each side of the square grid, 4 for the paper's 16.
        start: the stage that the adversarial one starts from. ``"baseline"`` leaves the attention
            assignment network out: the highest responses of the feature map are occluded (table 4).
        hidden: share of the feature map's positions that the 0-1 mask hides.
        squared: eq. 2 with squared norms, from which an attention learns; False: as it is written
            (``training.losses.attention_assignment``).
        regulariser, attention: λ1 and λ2 of eq. 4 (table 1).
        gap: ω of eq. 4, a difference of probabilities (table 2); -1 opens the gate for every picture.
        turn: steps on whole pictures before as many on occluded ones.
    """

    split: int = Field(default=2, ge=1, le=4)
    cells: int = Field(default=4, ge=2)
    start: Literal["assignment", "baseline"] = "assignment"
    hidden: float = Field(default=1 / 3, gt=0, lt=1)
    squared: bool = True
    regulariser: float = Field(default=0.3, ge=0)
    attention: float = Field(default=1.7, ge=0)
    gap: float = Field(default=0.04, ge=-1, le=1)
    turn: int = Field(default=1, ge=1)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that a run goes through, in order."""
        return tuple(name for name in STAGES if name != "assignment" or self.start == name)
