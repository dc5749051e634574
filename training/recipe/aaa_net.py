"""What the recipes of AAA-Net add."""

from __future__ import annotations

from training.recipe.tables import Table

__all__ = ["STAGES", "AAANetTable"]

STAGES = ("baseline", "assignment", "adversarial")


class AAANetTable(Table):
    """``[aaa_net]``."""
