"""What the recipes of the single-scale system add."""

from __future__ import annotations

from training.recipe.tables import Table

__all__ = ["STAGES", "SingleScaleTable"]

STAGES = ("single-scale",)


class SingleScaleTable(Table):
    """``[single_scale]``."""
