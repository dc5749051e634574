"""Reliability diagrams: what was claimed against what was true, on people held out. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from models.calibration import probability
from training.calibration.fit import AREAS, area_names
from training.calibration.held_out import Judged, reliability

__all__ = ["draw_reliability"]

_SINGLE, _TYPED, _RULE = "#c2570c", "#1d4ed8", "#94a3b8"
_LEAST_PAIRS: Final = 100
"""Pairs of one person that a panel needs."""


def draw_reliability(judged: Mapping[str, Judged], path: Path) -> None:
    """Draw one row a mode: all pairs, then each pair of hidden areas. The file's ending says the format.

    Raises:
        ValueError: nothing was judged, or matplotlib knows no format of that ending.
    """
    panels = {
        mode: [("all pairs", slice(None))]
        + [
            (f"hidden: {name}", AREAS[found.pairs.kinds] == area)
            for area, name in enumerate(area_names())
            if (found.pairs.same & (AREAS[found.pairs.kinds] == area)).sum() >= _LEAST_PAIRS
        ]
        for mode, found in judged.items()
    }
    if not panels:
        raise ValueError("there were too few people to hold any out: no reliability diagram")
    columns = max(len(row) for row in panels.values())
    figure = Figure(figsize=(2.4 * columns, 2.6 * len(panels) + 0.4), layout="constrained")
    axes = figure.subplots(len(panels), columns, squeeze=False, sharex=True, sharey=True)
    for line, (mode, row) in zip(axes, panels.items(), strict=True):
        found = judged[mode]
        for place, axis in enumerate(line):
            if place >= len(row):
                axis.set_visible(False)
                continue
            title, chosen = row[place]
            same = found.pairs.same[chosen]
            axis.plot([0, 1], [0, 1], color=_RULE, linewidth=1)
            for evidence, colour, label in (
                (found.single, _SINGLE, "one line for all pairs"),
                (found.typed, _TYPED, "a line for each pair of types"),
            ):
                believed, true = reliability(probability(evidence[chosen], 0.5), same)
                axis.plot(believed, true, color=colour, marker="o", markersize=3, label=label)
            axis.set_title(f"{mode}, {title}", fontsize=9)
            axis.set_aspect("equal")
        line[0].set_ylabel("share of one person")
    for axis in axes[-1]:
        axis.set_xlabel("probability at even odds")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
