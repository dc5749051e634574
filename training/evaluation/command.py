"""`penumbra-train evaluate`: what bundles, checkpoints and folders of features reach on a protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from training.data.records import Protocol
from training.evaluation import protocols
from training.evaluation.bootstrap import intervals
from training.evaluation.feature_folder import FeatureFolder
from training.evaluation.features import Advance
from training.evaluation.results import Options, Result, measure, measure_folder, open_model
from training.evaluation.tables import Compared, compare_results, content, tables
from training.evaluation.unified import Choice

__all__ = ["command", "measure", "progress_bar"]


def command(
    models: Sequence[Path],
    dataset: str | None,
    root: Path | None,
    *,
    unify: str,
    own: bool,
    by_type: bool,
    device: str,
    as_json: bool,
    acknowledge_withdrawn: bool = False,
    options: Options | None = None,
    with_intervals: bool = False,
    report: Path | None = None,
) -> None:
    """Measure every model and print tables, or JSON on standard output.

    Each model is compared with the first, and unification with none, by :func:`compare_rankings`.

    Args:
        models: bundles, checkpoints, folders of features.
        dataset, root: may be None where all models are folders.
        report: folder to write an HTML report to; it always has intervals.

    Raises:
        ValueError, OSError: a model or the data set cannot be read, or no figure can be measured.
    """
    if report is not None:
        import training.evaluation.report.page  # noqa: F401  # what it lacks is told before the long work
    options = replace(options or Options(), detail=report is not None)
    protocol = _protocol(models, dataset, root, acknowledge_withdrawn=acknowledge_withdrawn)
    results: list[Result] = []
    note = "" if protocol is None else protocol.note
    for path in models:
        if path.is_dir():
            folder = FeatureFolder.open(path)
            note = note or folder.about.note
            choices = _choices(
                unify,
                own=own,
                can_grade=folder.can_unify,
                can_fuse=folder.every_code,
                with_steps=bool(options.steps),
            )
            with progress_bar(folder.about.name, quiet=as_json) as advance:
                results += measure_folder(folder, choices, advance, options, protocol)
            continue
        assert protocol is not None  # _protocol has seen to it
        embedder = open_model(path, device)
        with progress_bar(f"{embedder.name} on {dataset}", quiet=as_json) as advance:
            choices = _choices(
                unify,
                own=own,
                can_grade=embedder.has_grader,
                can_fuse=True,
                with_steps=bool(options.steps),
            )
            results += measure(embedder, protocol, choices, advance, options)
    if with_intervals or report is not None:
        results = [_with_intervals(result) for result in results]
    comparisons = compare_results(results)
    if report is not None:
        _write_report(
            report,
            results,
            comparisons,
            protocol,
            [path for path in models if not path.is_dir()],
            root,
            note,
            device=device,
            quiet=as_json,
            acknowledge_withdrawn=acknowledge_withdrawn,
        )
    if as_json:
        print(json.dumps(content(results, comparisons, by_type=by_type), indent=1))
        return
    console = Console()
    queries, gallery = len(results[0].measured.ranking.first_match), results[0].summary.gallery
    title = f"{results[0].dataset}: {queries} queries, {gallery} gallery pictures"
    for table in tables(title, results, comparisons, by_type=by_type):
        console.print(table)
    console.print(note)


def _write_report(
    report: Path,
    results: Sequence[Result],
    comparisons: Sequence[Compared],
    protocol: Protocol | None,
    models: Sequence[Path],
    root: Path | None,
    note: str,
    *,
    device: str,
    quiet: bool,
    acknowledge_withdrawn: bool,
) -> None:
    """Write the HTML report, with a progress bar; jinja2, matplotlib and onnx are needed only here."""
    from training.evaluation.report.page import Subject, write_report

    subject = Subject(protocol, models, root, note, device, acknowledge_withdrawn)
    with progress_bar("report", quiet=quiet) as advance:
        page = write_report(report, results, comparisons, subject, advance)
    if not quiet:
        Console(stderr=True).print(f"report: {page}", soft_wrap=True)


def _with_intervals(result: Result) -> Result:
    return replace(result, intervals=intervals(result.measured.ranking))


def _protocol(
    models: Sequence[Path], dataset: str | None, root: Path | None, *, acknowledge_withdrawn: bool
) -> Protocol | None:
    """The protocol, where there is need of one."""
    if dataset is not None and root is not None:
        return protocols.load(dataset, root, acknowledge_withdrawn=acknowledge_withdrawn)
    if dataset is not None or root is not None:
        raise ValueError("--dataset and --root go together")
    for path in models:
        if not path.is_dir():
            raise ValueError(
                f"{path} is no folder of features: say on what to measure it by --dataset and --root"
            )
    return None


def _choices(unify: str, *, own: bool, can_grade: bool, can_fuse: bool, with_steps: bool) -> list[Choice]:
    """What to measure; ``both`` and ``all``: as far as model and steps can; others are taken at word."""
    wanted = [Choice("off")] if unify in ("off", "both", "all") else []
    if unify == "auto" or (unify in ("both", "all") and can_grade and not with_steps):
        wanted.append(Choice("auto"))
        if own:
            wanted.append(Choice("auto", own=True))
    if unify == "fuse" or (unify == "all" and can_fuse and not with_steps):
        wanted.append(Choice("fuse"))
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
