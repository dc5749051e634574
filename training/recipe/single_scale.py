"""What the recipes of the single-scale system add (Yan et al., ICCV 2021)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from models.networks.attention.non_local import AttentionKind
from training.recipe.tables import Table

__all__ = ["STAGES", "SingleScaleTable"]

STAGES = ("single-scale",)


class SingleScaleTable(Table):
    """``[single_scale]``; the defaults are the paper's (§5.1). Each line of table 5 is a setting of it.

    Attributes:
        erasing: ``"compound"`` (CBE: two copies of each batch), ``"random"`` (random erasing alone, the
            baseline's) or ``"none"``.
        erase_probability: of random erasing, per picture.
        bounded: L_bed on both features; False: the triplet loss of ``[losses]`` instead, the baseline's.
        alpha: α, how sensitive L_bed is to the distance (fig. 5a).
        unit_length: L_bed compares representations of length 1.
        balanced: pairs of one person and pairs of two weigh the same in sum in L_bed; False: each pair
            weighs the same (``training.losses.bounded_exponential``).
        distance: weight of L_bed; 1 in eq. 5.
        attention: ``"disentangled"`` (DNL), ``"non-local"`` (the baseline's) or ``"none"``.
        reconstructive: the second feature, by reconstructive pooling (RP).
        generalised_mean: GeM as the global pooling; False: the average.
        heads: H, classifiers on each feature.
        momentum_elimination: subtract the mean feature from the embedding (ME).
        beta: β, how slowly the mean feature moves (fig. 5b).
    """

    erasing: Literal["compound", "random", "none"] = "compound"
    erase_probability: float = Field(default=0.5, ge=0, le=1)
    bounded: bool = True
    alpha: float = Field(default=0.3, gt=0)
    unit_length: bool = True
    balanced: bool = False
    distance: float = Field(default=1.0, ge=0)
    attention: AttentionKind = "disentangled"
    reconstructive: bool = True
    generalised_mean: bool = True
    heads: int = Field(default=2, ge=1)
    momentum_elimination: bool = True
    beta: float = Field(default=0.9, ge=0, lt=1)
