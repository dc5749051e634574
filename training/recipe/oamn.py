"""What OAMN's recipes add (Chen et al., ICCV 2021)."""

from __future__ import annotations

from pydantic import Field

from training.recipe.tables import Table

__all__ = ["STAGES", "OAMNTable"]

STAGES = ("oamn",)


class OAMNTable(Table):
    """``[oamn]``; the defaults are the paper's (§4.1).

    Attributes:
        split: stage after which the mask module stands, 1 to 4 (table 5).
        mask: λ1. mask_invariance: α1. mask_completeness: α2. grading: λ4.
        relative_mask: eq. 2 and 3 as ratios, see ``training.losses.mask_consistency``.
        half_share: share of pictures whose four copies are half hidden, else a quarter.
        blank_share: share of pictures hidden by the mean colour, as unification does at test time, instead
            of a patch; the paper has none.
    """

    split: int = Field(default=3, ge=1, le=4)
    mask: float = Field(default=5.0, ge=0)
    mask_invariance: float = Field(default=1.0, ge=0)
    mask_completeness: float = Field(default=1.0, ge=0)
    grading: float = Field(default=1.0, ge=0)
    relative_mask: bool = False
    half_share: float = Field(default=0.5, ge=0, le=1)
    blank_share: float = Field(default=0.0, ge=0, le=1)
