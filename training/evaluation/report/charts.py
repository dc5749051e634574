"""Curves and histograms as SVG inside the page, in the page's own colours and type.

matplotlib draws in placeholder colours, which become CSS variables: so one drawing serves light and dark.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from typing import Any, Final

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.evaluation.rank_detail import RECALL_BINS

__all__ = ["SERIES", "Curve", "cmc_chart", "histograms", "precision_recall_chart"]

SERIES: Final = 6
"""Colours for curves; further ones begin again, with other dashes."""

Curve = tuple[str, npt.NDArray[np.float64]]
"""A name and its values."""

_INK, _RULE, _SAME, _DIFFERENT = "#020001", "#020002", "#020003", "#020004"
_SERIES = [f"#01000{number}" for number in range(SERIES)]
_VARIABLES = {
    _INK: "--ink",
    _RULE: "--rule",
    _SAME: "--right",
    _DIFFERENT: "--wrong",
    **{colour: f"--series-{number}" for number, colour in enumerate(_SERIES)},
}
_DASHES = ("-", "--", ":", "-.")
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "lines.linewidth": 2,
    "legend.frameon": False,
}
_BINS = 40


def cmc_chart(curves: Sequence[Curve]) -> str:
    """Cumulative match curves, each float64 [k], percent; SVG."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure()
        for number, (name, values) in enumerate(curves):
            ranks = np.arange(1, len(values) + 1)
            axes.plot(ranks, values, label=name, marker="o", markersize=3.5, **_line(number))
        axes.set_xticks([1, 5, 10, 15, 20])
        axes.set(xlabel="rank", ylabel="queries with a match so far, %", xlim=(0.5, None), ylim=(None, 101))
        return _svg(figure, "Cumulative match curves", curves)


def precision_recall_chart(curves: Sequence[Curve]) -> str:
    """Mean precision by recall, each float64 [RECALL_BINS], 0 to 1; SVG."""
    recall = 100 * (np.arange(RECALL_BINS) + 0.5) / RECALL_BINS
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure()
        for number, (name, values) in enumerate(curves):
            axes.plot(recall, 100 * values, label=name, **_line(number))
        axes.set(xlabel="recall, %", ylabel="precision, %", xlim=(0, 100), ylim=(0, 101))
        return _svg(figure, "Precision by recall", curves)


def histograms(
    panels: Sequence[tuple[str, npt.NDArray[np.float32], npt.NDArray[np.float32]]], title: str
) -> str:
    """Scores of the same person and of different people, a panel for each name; SVG.

    Args:
        panels: name, scores of the same [n] and of different people [m]; each histogram has area 1.
    """
    everything = np.concatenate([part for _, same, different in panels for part in (same, different)])
    edges = np.linspace(float(everything.min()), float(everything.max()) + 1e-6, _BINS + 1)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(3.4 * columns, 2.1 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, (name, same, different) in zip(grid.flat, panels, strict=False):
            for values, colour, dashes in ((different, _DIFFERENT, "--"), (same, _SAME, "-")):
                if len(values):
                    counts, _ = np.histogram(values, edges, density=True)
                    axes.stairs(counts, edges, color=colour, fill=True, alpha=0.3)
                    axes.stairs(counts, edges, color=colour, linewidth=1.5, linestyle=dashes)
            axes.set_title(name, loc="left")
            axes.set_yticks([])
        for axes in grid[-1]:
            axes.set_xlabel("score")
        return _svg(figure, title, ())


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    return figure, figure.subplots()


def _line(number: int) -> Any:
    return {"color": _SERIES[number % SERIES], "linestyle": _DASHES[number % len(_DASHES)]}


def _svg(figure: Figure, title: str, curves: Sequence[Curve]) -> str:
    """The figure as an ``<svg>`` element that names itself to who cannot see it."""
    if curves:
        figure.legend(loc="outside lower left", ncols=1, handlelength=3)
        figure.set_figheight(figure.get_figheight() + 0.22 * len(curves))
    file = io.BytesIO()
    # Marks and clipping paths have names, which two drawings of one page must not share.
    with matplotlib.rc_context({"svg.hashsalt": title}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue().decode("utf-8")
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    width = round(figure.get_figwidth() * 105)
    named = f'<svg role="img" aria-label="{html.escape(title)}" class="chart" style="max-width: {width}px" '
    return text.replace("<svg ", named, 1)
