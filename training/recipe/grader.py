"""A grader taught on a frozen network, so that any system's bundle can be unified."""

from __future__ import annotations

from pydantic import Field

from training.recipe.tables import Table

__all__ = ["STAGE", "GraderTable"]

STAGE = "grader"


class GraderTable(Table):
    """``[grader]``: the last stage of a system without a grader of its own.

    Attributes:
        split: stage of the backbone whose feature map is graded, 1 to 4.
        half_share: share of pictures whose four copies are half hidden, else a quarter.
        blank_share: share of pictures hidden by the mean colour instead of a patch.
    """

    split: int = Field(default=3, ge=1, le=4)
    half_share: float = Field(default=0.5, ge=0, le=1)
    blank_share: float = Field(default=0.0, ge=0, le=1)
