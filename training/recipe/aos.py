"""What the recipes of AOS add."""

from __future__ import annotations

from pydantic import Field

from training.occlusion.selection import Strategy
from training.recipe.tables import Table

__all__ = ["STAGES", "AOSTable"]

STAGES = ("baseline", "retrain")


class AOSTable(Table):
    """``[aos]``; the defaults are the paper's (§4.2).

    Attributes:
        strategy: which occluded version of a picture is shown: ``"sampling"``, ``"hard-1"``, ``"random"`` or
            ``"no-adversary"`` (table 1), see ``training.occlusion.selection``.
        mask_area: of the square mask, as a share of the picture's area (fig. 5).
        stride: of the sliding mask, pixels.
        probability: with which a picture is replaced by an occluded version of it (fig. 6).
    """

    strategy: Strategy = "sampling"
    mask_area: float = Field(default=0.1, gt=0, lt=1)
    stride: int = Field(default=10, ge=1)
    probability: float = Field(default=0.5, ge=0, le=1)

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that the strategy needs: Random asks no trained model (§4.7)."""
        return STAGES[1:] if self.strategy == "random" else STAGES
