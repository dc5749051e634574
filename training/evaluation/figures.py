"""`penumbra-train figures`: the README's table of offline figures, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import models
from training.data.records import Protocol
from training.evaluation import protocols
from training.evaluation.command import progress_bar
from training.evaluation.results import Result, measure, open_model
from training.evaluation.unified import Choice

__all__ = ["PROTOCOLS", "command", "markdown", "shipped"]

PROTOCOLS: Final = ("market1501-val", "market1501-val-occluded", "partial-ilids", "partial-ilids-nocrop")
"""The table's columns."""


def shipped() -> list[Path]:
    """The bundles in ``models/weights``, by name."""
    return sorted((Path(models.__file__).parent / "weights").glob("*.onnx"))


def command(
    bundles: Sequence[Path],
    datasets: Sequence[str],
    root: Path,
    *,
    as_json: bool,
    acknowledge_withdrawn: bool = False,
) -> None:
    """Measure each bundle on each protocol under every unification it has, and print the table.

    Args:
        bundles: none: all that are shipped.
        datasets: none: :data:`PROTOCOLS`.

    Raises:
        ValueError, OSError: a bundle or a data set cannot be read.
    """
    loaded = [
        protocols.load(name, root, acknowledge_withdrawn=acknowledge_withdrawn)
        for name in datasets or PROTOCOLS
    ]
    results: list[Result] = []
    for path in bundles or shipped():
        for protocol in loaded:
            embedder = open_model(path)
            choices = [Choice("off"), *([Choice("auto")] if embedder.has_grader else []), Choice("fuse")]
            with progress_bar(f"{embedder.name} on {protocol.name}", quiet=as_json) as advance:
                results += measure(embedder, protocol, choices, advance)
    if as_json:
        print(json.dumps({"results": [result.as_json() for result in results]}, indent=1))
        return
    print(markdown(results))
    for note in dict.fromkeys(_note(protocol) for protocol in loaded):
        print(f"\n{note}")


def markdown(results: Sequence[Result]) -> str:
    """A table: a row for each model and unification, a column for each protocol, rank-1 / mAP in percent."""
    columns = list(dict.fromkeys(result.dataset for result in results))
    rows = list(dict.fromkeys((result.model, result.unify) for result in results))
    found = {(result.model, result.unify, result.dataset): result.summary for result in results}
    lines = [
        f"| bundle | unify | {' | '.join(columns)} |",
        f"|---|---|{'--:|' * len(columns)}",
    ]
    for model, unify in rows:
        cells = []
        for column in columns:
            summary = found.get((model, unify, column))
            cells.append("" if summary is None else f"{summary.rank1:.1f} / {summary.map:.1f}")
        lines.append(f"| `{model.removesuffix('.onnx')}` | {unify} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _note(protocol: Protocol) -> str:
    sizes = f"{len(protocol.query)} queries, {len(protocol.gallery)} gallery pictures"
    return f"{protocol.name}: {sizes}. {protocol.note}"
