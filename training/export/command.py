"""`penumbra-train export`: from a checkpoint, through the gate, to a bundle."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from models.bundle import Bundle, BundleMetadata, Figure, GateReport, Training
from training.data.records import Protocol
from training.evaluation import protocols
from training.evaluation.checkpoint_features import checkpoint_name
from training.evaluation.command import measure, progress_bar
from training.evaluation.unified import Choice
from training.export import gate
from training.export.bundle_file import write_bundle
from training.export.card import write_card
from training.export.graph import OPSET, BundleGraph, to_onnx
from training.recipe import SyntheticData, dump_recipe
from training.systems.checkpoint import Checkpoint, load_network

__all__ = ["RESEARCH_TERMS", "command", "export", "metadata_of", "read_figures"]

RESEARCH_TERMS: Final = (
    "Trained on pictures of people that were released for research. For research use; before any other "
    "use, check the terms of every data set named under training."
)
SYNTHETIC_TERMS: Final = "Trained on drawn pictures only; shows how the software works, not how well it can."


def export(
    checkpoint: Path,
    out: Path,
    protocol: Protocol,
    figures: Sequence[Figure] = (),
    measured_on: Sequence[Protocol] = (),
    *,
    licence: str = "Apache-2.0",
    terms: str | None = None,
    notes: str = "",
    quiet: bool = True,
) -> Bundle:
    """Export a checkpoint.

    Args:
        checkpoint: as written by ``fit``.
        out: the bundle to write.
        protocol: whose pictures the gate compares on.
        figures: measured before, to be kept in the metadata.
        measured_on: protocols to measure now, on the graph that is written, with every unification it has.
        licence, terms: of the weights; terms None: as the training data demand.
        notes: what a reader must know.

    Raises:
        GateError: the graph does not agree with the network. Nothing is written.
        ValueError: the checkpoint cannot be read, or metadata and graph contradict each other.
    """
    network, trained = load_network(checkpoint)
    graph = BundleGraph(network)
    content = to_onnx(graph)
    with progress_bar(f"gate on {protocol.name}", quiet=quiet) as advance:
        report = gate.check(graph, content, protocol, advance)
    ours = gate.embedder_of(out.name, graph, content)
    choices = [Choice("off"), Choice("auto")] if graph.has_grader else [Choice("off")]
    measured = list(figures)
    for other in measured_on:
        with progress_bar(f"figures on {other.name}", quiet=quiet) as advance:
            for result in measure(ours, other, choices, advance):
                measured.append(_figure(result.as_json()))
    metadata = metadata_of(
        trained,
        graph,
        report,
        measured,
        licence=licence,
        terms=terms,
        notes=notes,
    )
    return write_bundle(content, metadata, out)


def metadata_of(
    checkpoint: Checkpoint,
    graph: BundleGraph,
    report: GateReport,
    figures: Sequence[Figure],
    *,
    licence: str,
    terms: str | None,
    notes: str,
) -> BundleMetadata:
    """What a bundle says of itself, from the recipe, the run record, the gate and the figures."""
    recipe, record = checkpoint.recipe, checkpoint.record
    if terms is None:
        drawn = all(isinstance(entry, SyntheticData) for entry in recipe.data)
        terms = SYNTHETIC_TERMS if drawn else RESEARCH_TERMS
    started = record.get("initial")
    origin = f"Weights started from {Path(str(started)).name}." if started else ""
    return BundleMetadata(
        name=recipe.name,
        system=recipe.system,
        backbone=recipe.model.backbone,
        height=graph.height,
        width=graph.width,
        dimension=graph.dimension,
        has_grader=graph.has_grader,
        has_attention=graph.has_attention,
        training=Training(
            data=list(record.get("data", [])),
            recipe=dump_recipe(recipe),
            command=_without_paths(str(record.get("command", ""))),
            machine=str(record.get("machine", "")),
            duration_s=record.get("seconds"),
            revision=str(record.get("revision", "unknown")),
            notes=" ".join(part for part in (f"{checkpoint.step} steps.", origin, notes) if part),
        ),
        figures=list(figures),
        gate=report,
        opset=OPSET,
        licence=licence,
        terms=terms,
    )


def _without_paths(command: str) -> str:
    """A command line with absolute paths cut to their last part: a bundle keeps no machine's folders."""
    return re.sub(r"(?<![\w.])/(?:[^\s/'\"]+/)*([^\s/'\"]+)", r"\1", command)


def read_figures(path: Path, model: str) -> list[Figure]:
    """Figures that ``evaluate --json`` measured on the file called ``model``.

    Raises:
        ValueError: the file is not such an answer, or holds nothing on that model.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["results"]
        # A bundle's figures are what the service does with it: by cosine, each query for itself.
        plain = ("cosine", "")
        chosen = [
            row
            for row in rows
            if row["model"] == model and (row.get("distance", "cosine"), row.get("steps", "")) == plain
        ]
        figures = [_figure(row) for row in chosen]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not an answer of `penumbra-train evaluate --json`: {error!r}") from error
    if not figures:
        raise ValueError(f"{path} has no figures of {model}")
    return figures


def _figure(row: dict[str, Any]) -> Figure:
    names = ("unify", "rank1", "rank5", "rank10", "map", "queries", "gallery")
    return Figure(protocol=row["dataset"], **{name: row[name] for name in names})


def command(
    checkpoint: Path,
    out: Path,
    *,
    root: Path | None,
    datasets: Sequence[str],
    pictures: Path | None,
    figures: Path | None,
    licence: str,
    terms: str | None,
    notes: str,
    as_json: bool,
    acknowledge_withdrawn: bool = False,
) -> None:
    """Export, write the model card beside the bundle, and say what the gate found.

    The gate compares on ``pictures`` where that is given, else on the first of ``datasets``. Figures come
    from the file ``figures`` and are measured now on those ``datasets`` that it does not cover.

    Raises:
        ValueError, OSError: see :func:`export`; or neither pictures nor a root is given.
    """
    if datasets and root is None:
        raise ValueError("say where the data sets lie with --root")
    known = read_figures(figures, checkpoint_name(checkpoint)) if figures is not None else []
    loaded = [
        protocols.load(name, root, acknowledge_withdrawn=acknowledge_withdrawn)
        for name in datasets
        if root is not None
    ]
    if pictures is not None:
        protocol = protocols.of_folder(pictures)
    elif loaded:
        protocol = loaded[0]
    else:
        raise ValueError("the gate needs real pictures: give --dataset and --root, or --pictures")
    covered = {figure.protocol for figure in known}
    written = export(
        checkpoint,
        out,
        protocol,
        known,
        [entry for entry in loaded if entry.name not in covered],
        licence=licence,
        terms=terms,
        notes=notes,
        quiet=as_json,
    )
    card = write_card(written)
    report = written.metadata.gate
    assert report is not None  # write_bundle takes nothing without it
    if as_json:
        print(
            json.dumps(
                {
                    "bundle": str(out),
                    "card": str(card),
                    "fingerprint": written.fingerprint,
                    "bytes": len(written.content),
                    "gate": report.model_dump(),
                    "figures": [figure.model_dump() for figure in written.metadata.figures],
                },
                indent=1,
            )
        )
        return
    console = Console()
    console.print(f"model card: {card}", soft_wrap=True)
    console.print(
        f"{out}: {len(written.content) / 1e6:.1f} MB, fingerprint {written.fingerprint}", soft_wrap=True
    )
    console.print(
        f"gate passed on {report.pictures}: largest difference {report.max_abs_difference:.1e}, "
        f"{report.same_top10:.1%} same top-10, mAP differs by {report.map_difference:.2f} points"
    )
    for figure in written.metadata.figures:
        console.print(
            f"{figure.protocol}, unify {figure.unify}: rank-1 {figure.rank1:.1f}, mAP {figure.map:.1f}"
        )
