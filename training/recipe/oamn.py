"""What OAMN's recipes add (Chen et al., ICCV 2021)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from models.occlusion import PLACES
from training.recipe.tables import Table

__all__ = ["STAGES", "OAMNTable"]

STAGES = ("oamn",)


class OAMNTable(Table):
    """``[oamn]``; the defaults are the paper's (§4.1). How its ablations are written::

        table 3, places                 places = ["top", "bottom"]
        table 3, areas                  half_share = 1 (halves alone) or 0 (quarters alone)
        table 4, vanilla triplet        triplet = "vanilla"
        table 5, the mask module after  split = 1, 2 or 4
        table 6, without OA             places = []
        table 6, without L_mask         mask = 0, and mask_module = false to leave out the module itself
        table 6, without OU             ``penumbra-train evaluate --unify off``

    Table 6's first line has nothing of OAMN: that is the system ``baseline``.

    Attributes:
        split: stage after which the mask module stands, 1 to 4 (table 5); without a module it still is where
            the grader reads.
        mask_module: whether it stands there at all.
        places: where the occluded copies are hidden; none: no copies, and neither mask losses nor a grader.
        triplet: ``"grouped"`` (eq. 6), or ``"vanilla"``: the hardest pairs of all copies together (eq. 5).
        mask: λ1. mask_invariance: α1. mask_completeness: α2. grading: λ4; 0 leaves out the grader.
        relative_mask: eq. 2 and 3 as ratios, see ``training.losses.mask_consistency``.
        half_share: share of pictures whose copies are half hidden, else a quarter.
        blank_share: share of pictures hidden by the mean colour, as unification does at test time, instead
            of a patch; the paper has none.
    """

    split: int = Field(default=3, ge=1, le=4)
    mask_module: bool = True
    places: tuple[Literal["top", "bottom", "left", "right"], ...] = PLACES
    triplet: Literal["grouped", "vanilla"] = "grouped"
    mask: float = Field(default=5.0, ge=0)
    mask_invariance: float = Field(default=1.0, ge=0)
    mask_completeness: float = Field(default=1.0, ge=0)
    grading: float = Field(default=1.0, ge=0)
    relative_mask: bool = False
    half_share: float = Field(default=0.5, ge=0, le=1)
    blank_share: float = Field(default=0.0, ge=0, le=1)

    @property
    def has_grader(self) -> bool:
        """Whether a grader is trained: it learns from occluded copies."""
        return bool(self.places) and self.grading > 0

    @model_validator(mode="after")
    def _fits_together(self) -> OAMNTable:
        if len(set(self.places)) < len(self.places):
            raise ValueError(f"places names one twice: {', '.join(self.places)}")
        if self.mask > 0 and not self.mask_module:
            raise ValueError("without the mask module there is no L_mask: set mask = 0")
        return self
