"""`penumbra-train evaluate`: rank-1/5/10 and mAP of bundles and checkpoints. No torch for bundles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from models import occlusion
from training.data.records import Protocol
from training.evaluation import protocols
from training.evaluation.features import Advance, BundleEmbedder, Embedder
from training.evaluation.ranking import Summary, summarise
from training.evaluation.unified import Choice, Side, evaluate, read_sides

__all__ = ["Result", "command", "measure", "open_model", "progress_bar"]


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table.

    Attributes:
        model: the file's name; of a checkpoint with the run's folder before it.
        fingerprint: of a bundle; None for a checkpoint.
        dataset: the protocol.
        unify: ``"off"``, ``"auto"`` or ``"auto+own"``.
        summary: over all queries.
        by_type: over the queries graded as each type, by the type's name.
    """

    model: str
    fingerprint: str | None
    dataset: str
    unify: str
    summary: Summary
    by_type: dict[str, Summary]

    def as_json(self) -> dict[str, object]:
        """The line as it stands in ``--json``; figures in percent, to three decimals."""
        return (
            {"model": self.model, "fingerprint": self.fingerprint, "dataset": self.dataset}
            | {"unify": self.unify}
            | _figures(self.summary)
        )


def _figures(summary: Summary) -> dict[str, object]:
    return {
        "rank1": round(summary.rank1, 3),
        "rank5": round(summary.rank5, 3),
        "rank10": round(summary.rank10, 3),
        "map": round(summary.map, 3),
        "queries": summary.queries,
        "gallery": summary.gallery,
    }


def open_model(path: Path, device: str = "auto") -> Embedder:
    """A bundle (``.onnx``) in ONNX Runtime on the CPU, or a checkpoint (``.pt``) in PyTorch on ``device``.

    Raises:
        ValueError: the file's name ends in neither, or the file is not what its name says.
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: a checkpoint is given and torch is not installed.
    """
    if path.suffix == ".onnx":
        return BundleEmbedder.open(path)
    if path.suffix == ".pt":
        from training.evaluation.checkpoint_features import CheckpointEmbedder

        return CheckpointEmbedder.open(path, device)
    raise ValueError(f"{path} is neither a bundle (.onnx) nor a checkpoint (.pt)")


def measure(
    embedder: Embedder, protocol: Protocol, choices: Sequence[Choice], advance: Advance | None = None
) -> Iterator[Result]:
    """Figures of one model on one protocol under each choice; features are shared between choices.

    Raises:
        ValueError: unification is asked for and the model has no grader.
    """
    if not embedder.has_grader and any(choice.unify == "auto" for choice in choices):
        raise ValueError(f"{embedder.name} has no grader, so that only --unify off can be measured")
    query_pixels, gallery_pixels = read_sides(protocol, embedder.height, embedder.width)
    query, gallery = Side(embedder, query_pixels, advance), Side(embedder, gallery_pixels, advance)
    for choice in choices:
        ranking = evaluate(query, gallery, protocol, choice, advance)
        yield Result(
            embedder.name,
            embedder.fingerprint,
            protocol.name,
            choice.label,
            summarise(ranking),
            {
                occlusion.NAMES[code]: summarise(ranking.of(query.codes == code))
                for code in np.unique(query.codes)
            },
        )


def command(
    models: Sequence[Path],
    dataset: str,
    root: Path,
    *,
    unify: str,
    own: bool,
    by_type: bool,
    device: str,
    as_json: bool,
    acknowledge_withdrawn: bool = False,
) -> None:
    """Measure every model and print one table, or JSON on standard output.

    Raises:
        ValueError, OSError: a model or the data set cannot be read, or no figure can be measured.
    """
    protocol = protocols.load(dataset, root, acknowledge_withdrawn=acknowledge_withdrawn)
    results: list[Result] = []
    for path in models:
        embedder = open_model(path, device)
        with progress_bar(f"{embedder.name} on {dataset}", quiet=as_json) as advance:
            results += measure(embedder, protocol, _choices(unify, own, embedder.has_grader), advance)
    if as_json:
        content: dict[str, object] = {"results": [result.as_json() for result in results]}
        if by_type:
            content["by_type"] = [
                {"model": result.model, "unify": result.unify, "type": name, **_figures(summary)}
                for result in results
                for name, summary in result.by_type.items()
            ]
        print(json.dumps(content, indent=1))
        return
    console = Console()
    console.print(_table(results, protocol))
    if by_type:
        console.print(_type_table(results))
    console.print(protocol.note)


def _choices(unify: str, own: bool, has_grader: bool) -> list[Choice]:
    """What to measure; ``both`` means "as far as the model can", ``auto`` alone is taken at its word."""
    wanted = [Choice("off")] if unify in ("off", "both") else []
    if unify == "auto" or (unify == "both" and has_grader):
        wanted.append(Choice("auto"))
        if own:
            wanted.append(Choice("auto", own=True))
    return wanted


@contextmanager
def progress_bar(text: str, *, quiet: bool = False) -> Iterator[Advance]:
    """A count of embeddings computed, on standard error: ``with progress_bar("model") as advance: ...``."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}: {task.completed} embeddings"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(text, total=None)
        yield lambda count: progress.advance(task, count)


def _table(results: Sequence[Result], protocol: Protocol) -> Table:
    table = Table(
        title=f"{protocol.name}: {len(protocol.query)} queries, {len(protocol.gallery)} gallery pictures"
    )
    table.add_column("model", overflow="fold")
    table.add_column("unify")
    for name in ("rank-1", "rank-5", "rank-10", "mAP", "queries", "left out"):
        table.add_column(name, justify="right")
    for result in results:
        figures = result.summary
        table.add_row(
            result.model,
            result.unify,
            *(f"{value:.1f}" for value in (figures.rank1, figures.rank5, figures.rank10, figures.map)),
            str(figures.queries),
            str(figures.without_match),
        )
    return table


def _type_table(results: Sequence[Result]) -> Table:
    table = Table(title="by the query's graded type")
    for name in ("model", "unify", "type"):
        table.add_column(name)
    for name in ("rank-1", "mAP", "queries"):
        table.add_column(name, justify="right")
    for result in results:
        for name, figures in result.by_type.items():
            table.add_row(
                result.model,
                result.unify,
                name,
                f"{figures.rank1:.1f}",
                f"{figures.map:.1f}",
                str(figures.queries),
            )
    return table
