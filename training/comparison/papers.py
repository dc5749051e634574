"""What each paper says it gains over its own baseline, for comparison with what is measured here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["GAINS", "PaperGain"]


@dataclass(frozen=True, slots=True)
class PaperGain:
    """A paper's own figures.

    Attributes:
        system: as in ``training.recipe.STAGES``.
        source: the paper and its table, and how features were compared where not by their distance alone.
        dataset: what it was measured on.
        baseline, own: rank-1 and mAP in percent, of the paper's baseline and of its method.
    """

    system: str
    source: str
    dataset: str
    baseline: tuple[float, float]
    own: tuple[float, float]


_SINGLE_SCALE: Final = "Single-scale, table 5, first and last row"
_MAGNIFIER: Final = "MagnifierNet, table 2, first and last row"

GAINS: Final = (
    PaperGain("aos", "AOS, table 1, Baseline and Sampling", "Market-1501", (84.42, 66.95), (86.49, 70.43)),
    PaperGain("aos", "AOS, table 1, Baseline and Sampling", "CUHK03", (40.23, 37.00), (47.14, 43.33)),
    PaperGain("oamn", "OAMN, table 6, first and last row", "Occluded-Duke", (36.9, 26.2), (62.6, 46.1)),
    PaperGain("oamn", "OAMN, table 6, first and last row", "Partial-iLIDS", (62.2, 66.8), (77.3, 79.5)),
    PaperGain("aaa-net", "AAA-Net, table 3, Euclidean", "Market-1501", (77.9, 54.8), (80.3, 57.0)),
    PaperGain("aaa-net", "AAA-Net, table 6, KISSME", "Market-1501", (78.9, 55.6), (81.5, 58.8)),
    # Of Duke there is no baseline's figure by Euclidean distance; 73.2 is XQDA's rank-1 in table 1.
    PaperGain("aaa-net", "AAA-Net, table 7", "DukeMTMC-reID", (67.3, 47.6), (73.2, 53.0)),
    PaperGain(
        "single-scale",
        _SINGLE_SCALE,
        "Occluded-Duke",
        (62.8, 51.9),
        (69.0, 57.2),
    ),
    PaperGain("single-scale", _SINGLE_SCALE, "Market-1501", (95.4, 88.6), (96.1, 89.3)),
    PaperGain(
        "magnifiernet",
        _MAGNIFIER,
        "DukeMTMC-reID",
        (82.7, 70.8),
        (90.0, 80.7),
    ),
    PaperGain("magnifiernet", _MAGNIFIER, "CUHK03-L", (69.8, 67.4), (82.4, 79.6)),
)
