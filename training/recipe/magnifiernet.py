"""What the recipes of MagnifierNet add."""

from __future__ import annotations

from training.recipe.tables import Table

__all__ = ["STAGES", "MagnifierNetTable"]

STAGES = ("first", "second")


class MagnifierNetTable(Table):
    """``[magnifiernet]``."""
