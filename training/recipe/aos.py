"""What the recipes of AOS add."""

from __future__ import annotations

from training.recipe.tables import Table

__all__ = ["STAGES", "AOSTable"]

STAGES = ("baseline", "retrain")


class AOSTable(Table):
    """``[aos]``."""
