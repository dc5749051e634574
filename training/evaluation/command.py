"""`penumbra-train evaluate`: what bundles and checkpoints reach on a protocol. No torch for bundles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from models import occlusion
from training.data.records import Picture, Protocol
from training.evaluation import distances, protocols
from training.evaluation.bootstrap import Comparison, Interval, compare_rankings, intervals
from training.evaluation.distances import Distance
from training.evaluation.feature_scores import Steps, feature_scores
from training.evaluation.features import Advance, BundleEmbedder, Embedder, embed, read_pixels
from training.evaluation.measures import Measured, measure_scores
from training.evaluation.multi_query import Labelled
from training.evaluation.ranking import Summary, summarise
from training.evaluation.unified import Choice, Side, compare, read_sides, require

__all__ = ["Options", "Result", "command", "measure", "open_model", "progress_bar"]


@dataclass(frozen=True, slots=True)
class Options:
    """How features are compared and what is measured.

    Attributes:
        distance: by name; the learned ones are fitted on the protocol's training half.
        steps: multi-query, query expansion, re-ranking; only without unification, which has no one feature
            for a picture.
        trials: single-shot trials (CUHK03's classic protocol has 100); 0 for none.
    """

    distance: distances.Name = "cosine"
    steps: Steps = field(default_factory=Steps)
    trials: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table.

    Attributes:
        model: the file's name; of a checkpoint with the run's folder before it.
        fingerprint: of a bundle; None for a checkpoint.
        dataset: the protocol.
        unify: ``"off"``, ``"auto"`` or ``"auto+own"``.
        summary: over all queries.
        by_type: over the queries graded as each type, by the type's name; empty for multi-query, which
            pools pictures of several types.
        measured: each query's rank, and the measures that are not means over queries.
        options: under which it was measured.
        intervals: 95 %, by the figure's name; None where not asked for.
    """

    model: str
    fingerprint: str | None
    dataset: str
    unify: str
    summary: Summary
    by_type: dict[str, Summary]
    measured: Measured
    options: Options
    intervals: dict[str, Interval] | None = None

    def as_json(self) -> dict[str, object]:
        """The line as it stands in ``--json``; figures in percent, to three decimals."""
        measured, summary = self.measured, self.summary
        line: dict[str, object] = {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "dataset": self.dataset,
            "unify": self.unify,
            **_figures(summary),
            "rank20": round(summary.rank20, 3),
            "minp": round(summary.minp, 3),
            "tpr_at_fpr": {f"{rate:g}": _percent(v) for rate, v in measured.true_positive_rates.items()},
            "dir_at_far": {f"{rate:g}": _percent(v) for rate, v in measured.detection_rates.items()},
            "distance": self.options.distance,
            "steps": self.options.steps.label,
        }
        if measured.single_shot is not None:
            curve = measured.single_shot
            line["single_shot"] = {"trials": self.options.trials} | {
                f"rank{k}": round(float(curve[k - 1]), 3) for k in (1, 5, 10, 20)
            }
        if self.intervals is not None:
            line["intervals"] = {
                name: [round(ends.low, 3), round(ends.high, 3)] for name, ends in self.intervals.items()
            }
        return line


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 3)


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
    embedder: Embedder,
    protocol: Protocol,
    choices: Sequence[Choice],
    advance: Advance | None = None,
    options: Options | None = None,
) -> Iterator[Result]:
    """Figures of one model on one protocol under each choice; features are shared between choices.

    Raises:
        ValueError: unification is asked for and the model has no grader, or multi-query, expansion or
            re-ranking with it; a learned distance and the protocol has no training half.
    """
    options = options or Options()
    if not embedder.has_grader and any(choice.unify == "auto" for choice in choices):
        raise ValueError(f"{embedder.name} has no grader, so that only --unify off can be measured")
    if options.steps and any(choice.unify == "auto" for choice in choices):
        raise ValueError("multi-query, expansion and re-ranking can be measured with --unify off only")
    distance = _fit(embedder, protocol, options.distance, advance)
    query_pixels, gallery_pixels = read_sides(protocol, embedder.height, embedder.width)
    query, gallery = Side(embedder, query_pixels, advance), Side(embedder, gallery_pixels, advance)
    for choice in choices:
        measured = _measure_choice(query, gallery, protocol, choice, distance, options, advance)
        ranking = measured.ranking
        yield Result(
            embedder.name,
            embedder.fingerprint,
            protocol.name,
            choice.label,
            summarise(ranking),
            {}
            if options.steps.multi_query
            else {
                occlusion.NAMES[code]: summarise(ranking.of(query.codes == code))
                for code in np.unique(query.codes)
            },
            measured,
            options,
        )


def _fit(embedder: Embedder, protocol: Protocol, name: distances.Name, advance: Advance | None) -> Distance:
    """The distance of that name; a learned one from the training half's whole pictures."""
    if name in ("cosine", "euclidean"):
        return Distance(name)
    pixels = read_pixels(protocol.train, embedder.height, embedder.width)
    codes = np.full(len(pixels), occlusion.NONE, dtype=np.int64)
    embeddings = embed(embedder, pixels, np.arange(len(pixels)), codes, advance).embeddings
    return distances.fit(name, embeddings, *_labels(protocol.train))


def _labels(pictures: Sequence[Picture]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """People and cameras, int64 [n] each."""
    return (
        np.array([picture.person for picture in pictures], dtype=np.int64),
        np.array([picture.camera for picture in pictures], dtype=np.int64),
    )


def _measure_choice(
    query: Side,
    gallery: Side,
    protocol: Protocol,
    choice: Choice,
    distance: Distance,
    options: Options,
    advance: Advance | None,
) -> Measured:
    """Score and measure; steps are only there where the choice is ``off``."""
    require(query, gallery, choice, advance)
    asked, answers = _labels(protocol.query), _labels(protocol.gallery)
    if options.steps:
        whole = slice(len(query.codes)), slice(len(gallery.codes))
        pooled, blocks = feature_scores(
            Labelled(query.features(whole[0], occlusion.NONE), *asked),
            Labelled(gallery.features(whole[1], occlusion.NONE), *answers),
            options.steps,
            distance,
            camera_rule=protocol.camera_rule,
        )
        asked = pooled.people, pooled.cameras
    else:
        blocks = compare(query, gallery, choice, distance)
    return measure_scores(blocks, *asked, *answers, camera_rule=protocol.camera_rule, trials=options.trials)


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
    options: Options | None = None,
    with_intervals: bool = False,
) -> None:
    """Measure every model and print tables, or JSON on standard output.

    Each model is compared with the first, and unification with none, by :func:`compare_rankings`.

    Raises:
        ValueError, OSError: a model or the data set cannot be read, or no figure can be measured.
    """
    options = options or Options()
    protocol = protocols.load(dataset, root, acknowledge_withdrawn=acknowledge_withdrawn)
    results: list[Result] = []
    for path in models:
        embedder = open_model(path, device)
        with progress_bar(f"{embedder.name} on {dataset}", quiet=as_json) as advance:
            choices = _choices(unify, own, embedder.has_grader and not (options.steps and unify == "both"))
            results += measure(embedder, protocol, choices, advance, options)
    if with_intervals:
        results = [replace(result, intervals=intervals(result.measured.ranking)) for result in results]
    comparisons = _compare(results)
    if as_json:
        content: dict[str, object] = {"results": [result.as_json() for result in results]}
        if by_type:
            content["by_type"] = [
                {"model": result.model, "unify": result.unify, "type": name, **_figures(summary)}
                for result in results
                for name, summary in result.by_type.items()
            ]
        if comparisons:
            content["comparisons"] = [_comparison_json(*comparison) for comparison in comparisons]
        print(json.dumps(content, indent=1))
        return
    console = Console()
    console.print(_table(results, protocol))
    console.print(_further_table(results))
    if with_intervals:
        console.print(_interval_table(results))
    if comparisons:
        console.print(_comparison_table(comparisons))
    if by_type:
        console.print(_type_table(results))
    console.print(protocol.note)


def _compare(results: Sequence[Result]) -> list[tuple[Result, Result, Comparison]]:
    """Each model against the first under the same unification, and each unification against ``off``."""
    pairs = []
    for place, result in enumerate(results):
        first = next(other for other in results if other.unify == result.unify)
        own = next((o for o in results[:place] if o.model == result.model and o.unify == "off"), None)
        pairs += [(result, other) for other in (first, own) if other is not None and other is not result]
    return [
        (one, other, compare_rankings(one.measured.ranking, other.measured.ranking))
        for one, other in pairs
        if (one.measured.ranking.first_match > 0).any()
    ]


def _comparison_json(one: Result, other: Result, comparison: Comparison) -> dict[str, object]:
    return {
        "model": one.model,
        "unify": one.unify,
        "against": {"model": other.model, "unify": other.unify},
        "map_difference": round(comparison.difference, 3),
        "interval": [round(comparison.interval.low, 3), round(comparison.interval.high, 3)],
        "p": round(comparison.p, 6),
        "queries": comparison.queries,
    }


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


def _further_table(results: Sequence[Result]) -> Table:
    table = Table(title="further measures, percent")
    table.add_column("model", overflow="fold")
    table.add_column("unify")
    table.add_column("distance", overflow="fold")
    first = results[0].measured
    names = ["rank-20", "mINP"]
    names += [f"TPR at FPR {rate:g}" for rate in first.true_positive_rates]
    names += [f"DIR at FAR {rate:g}" for rate in first.detection_rates]
    if first.single_shot is not None:
        names += [f"single-shot rank-{k}" for k in (1, 5)]
    for name in names:
        table.add_column(name, justify="right")
    for result in results:
        measured = result.measured
        values: list[float | None] = [result.summary.rank20, result.summary.minp]
        rates = (*measured.true_positive_rates.values(), *measured.detection_rates.values())
        values += [_percent(share) for share in rates]
        if measured.single_shot is not None:
            values += [float(measured.single_shot[0]), float(measured.single_shot[4])]
        how = " ".join(filter(None, (result.options.distance, result.options.steps.label)))
        shown = ["–" if value is None else f"{value:.1f}" for value in values]
        table.add_row(result.model, result.unify, how, *shown)
    return table


def _interval_table(results: Sequence[Result]) -> Table:
    table = Table(title="95 % intervals, bootstrap over queries")
    table.add_column("model", overflow="fold")
    table.add_column("unify")
    for name in ("rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP"):
        table.add_column(name, justify="right")
    for result in results:
        ends = (result.intervals or {}).values()
        table.add_row(result.model, result.unify, *(f"{e.low:.1f} to {e.high:.1f}" for e in ends))
    return table


def _comparison_table(comparisons: Sequence[tuple[Result, Result, Comparison]]) -> Table:
    table = Table(title="paired, by average precision")
    for name in ("model", "against"):
        table.add_column(name, overflow="fold")
    for name in ("mAP", "95 % interval", "p"):
        table.add_column(name, justify="right")
    for one, other, comparison in comparisons:
        table.add_row(
            f"{one.model} {one.unify}",
            f"{other.model} {other.unify}",
            f"{comparison.difference:+.1f}",
            f"{comparison.interval.low:+.1f} to {comparison.interval.high:+.1f}",
            f"{comparison.p:.4f}",
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
