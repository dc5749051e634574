"""From results to the page: what stands in which section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import numpy as np

from models import occlusion
from training.data.records import Protocol
from training.evaluation.features import Advance
from training.evaluation.ranking import summarise
from training.evaluation.report import charts, sheets
from training.evaluation.report.album import Album, colour_bar
from training.evaluation.report.maps import MapRow, ModelMaps, classifier_maps, model_maps
from training.evaluation.report.sensitivity import PEOPLE, PER_PERSON, TEMPERATURE
from training.evaluation.results import Result, open_model, percent
from training.evaluation.tables import Compared

__all__ = ["Subject", "write_report"]

_TEMPLATE = "page.html.jinja"


@dataclass(frozen=True, slots=True)
class Subject:
    """What was measured, and how to find it again.

    Attributes:
        protocol: None where folders of features were measured by their own word, without pictures.
        models: bundles and checkpoints, whose maps are shown.
        root: of the data sets, where a checkpoint's training pictures lie too.
        note: what must be said with the figures.
    """

    protocol: Protocol | None
    models: Sequence[Path]
    root: Path | None
    note: str
    device: str = "auto"
    acknowledge_withdrawn: bool = False


def write_report(
    out: Path,
    results: Sequence[Result],
    comparisons: Sequence[Compared],
    subject: Subject,
    advance: Advance | None = None,
) -> Path:
    """Write ``index.html`` and the folder ``pictures`` into ``out``. Returns the page.

    Args:
        results: measured with ``Options.detail``, with intervals.

    Raises:
        ValueError, OSError: a picture or a model cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    album = Album(out)
    names = [f"{result.model}, {result.unify}" for result in results]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    maps, trained = _maps(subject, results[0], album, advance)
    page = environment.get_template(_TEMPLATE).render(
        dataset=results[0].dataset,
        first=names[0],
        queries=len(results[0].measured.ranking.first_match),
        gallery=results[0].summary.gallery,
        note=subject.note,
        date=datetime.now(UTC).strftime("%d %B %Y"),
        models=list({result.model: result.fingerprint for result in results}.items()),
        figures=_figure_rows(results),
        comparisons=[_comparison_row(compared) for compared in comparisons],
        names=names,
        types=_type_rows(results),
        cmc=charts.cmc_chart([(n, r.summary.cmc) for n, r in zip(names, results, strict=True)]),
        precision_recall=charts.precision_recall_chart(
            [
                (n, r.detail.precision_by_recall())
                for n, r in zip(names, results, strict=True)
                if r.detail is not None
            ]
        ),
        histograms=[(n, _histograms(n, r)) for n, r in zip(names, results, strict=True)],
        sheets=_sheets(results, subject.protocol, album),
        maps=maps,
        trained=trained,
        colour_bar=album.add(colour_bar()) if maps else "",
        prototypes=f"at most {PER_PERSON} pictures of at most {PEOPLE} people, cosines over {TEMPERATURE}",
    )
    path = out / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def _figure_rows(results: Sequence[Result]) -> list[dict[str, object]]:
    """A row for each result: cells of (value, interval or empty, whether it is the column's best)."""
    columns = [
        ("rank1", "rank-1"),
        ("rank5", "rank-5"),
        ("rank10", "rank-10"),
        ("rank20", "rank-20"),
        ("map", "mAP"),
        ("minp", "mINP"),
    ]
    table: list[list[tuple[str, float | None, str]]] = []
    for result in results:
        ends = result.intervals or {}
        cells: list[tuple[str, float | None, str]] = [
            (
                title,
                float(getattr(result.summary, name)),
                f"{ends[name].low:.1f} to {ends[name].high:.1f}" if name in ends else "",
            )
            for name, title in columns
        ]
        measured = result.measured
        cells += [(f"TPR at FPR {r:g}", percent(v), "") for r, v in measured.true_positive_rates.items()]
        cells += [(f"DIR at FAR {r:g}", percent(v), "") for r, v in measured.detection_rates.items()]
        if measured.single_shot is not None:
            cells += [(f"single-shot rank-{k}", float(measured.single_shot[k - 1]), "") for k in (1, 5)]
        table.append(cells)
    columns_of = [[value for _, value, _ in column] for column in zip(*table, strict=True)]
    known = [[value for value in column if value is not None] for column in columns_of]
    best = [max(column) if column else None for column in known]
    return [
        {
            "model": result.model,
            "unify": result.unify,
            "how": " ".join(filter(None, (result.options.distance, result.options.steps.label))),
            "counted": result.summary.queries,
            "left_out": result.summary.without_match,
            "cells": [
                {
                    "title": title,
                    "value": "–" if value is None else f"{value:.1f}",
                    "interval": interval,
                    "best": len(table) > 1 and value is not None and f"{value:.1f}" == f"{top:.1f}",
                }
                for (title, value, interval), top in zip(cells, best, strict=True)
            ],
        }
        for result, cells in zip(results, table, strict=True)
    ]


def _comparison_row(compared: Compared) -> dict[str, str]:
    comparison = compared.comparison
    return {
        "one": f"{compared.one.model}, {compared.one.unify}",
        "other": f"{compared.other.model}, {compared.other.unify}",
        "difference": f"{comparison.difference:+.1f}",
        "interval": f"{comparison.interval.low:+.1f} to {comparison.interval.high:+.1f}",
        "p": "< 0.0002" if comparison.p < 2e-4 else f"{comparison.p:.4f}",
        "queries": str(comparison.queries),
    }


def _types_of(result: Result) -> tuple[str, dict[str, np.ndarray]]:
    """How the queries' types are known, and which queries are of each: bool [Q] by name."""
    number = len(result.measured.ranking.first_match)
    types = result.types
    codes = None if types is None else types.graded if types.drawn is None else types.drawn
    if codes is None:
        return "not known", {"all queries": np.ones(number, dtype=np.bool_)}
    known = "as graded" if types is not None and types.drawn is None else "as drawn"
    return known, {
        occlusion.NAMES[code].replace("_", " "): codes == code for code in np.unique(codes).tolist()
    }


def _type_rows(results: Sequence[Result]) -> list[tuple[str, list[tuple[str, str]]]]:
    """A row for each type: of each result "rank-1 / mAP" and the number of queries, or nothing."""
    cells: dict[str, dict[int, tuple[str, str]]] = {}
    for place, result in enumerate(results):
        known, chosen = _types_of(result)
        if known == "not known":
            continue
        for name, queries in chosen.items():
            summary = summarise(result.measured.ranking.of(queries))
            figures = f"{summary.rank1:.1f} / {summary.map:.1f}"
            cells.setdefault(name, {})[place] = figures, f"{summary.queries} {known}"
    order = [name.replace("_", " ") for name in occlusion.NAMES]
    return [
        (name, [cells[name].get(place, ("", "")) for place in range(len(results))])
        for name in sorted(cells, key=order.index)
    ]


def _histograms(name: str, result: Result) -> str:
    assert result.detail is not None
    known, chosen = _types_of(result)
    panels = [
        (f"{type_name} ({int(rows.sum())})", *result.detail.pair_scores(rows))
        for type_name, rows in chosen.items()
    ]
    return charts.histograms(panels, f"Scores, {name}, types {known}")


def _sheets(results: Sequence[Result], protocol: Protocol | None, album: Album) -> list[sheets.Sheet]:
    """Best and worst of each result; changed against the same others as in the paired comparison."""
    if protocol is None:
        return []
    drawn = []
    for result in results:
        name = f"{result.model}, {result.unify}"
        for title, chosen in (("best", sheets.best(result)), ("worst", sheets.worst(result))):
            if len(chosen):
                drawn.append(
                    sheets.sheet(f"{name}: {title} queries", result, chosen.tolist(), protocol, album)
                )
    for place, result in enumerate(results):
        first = next(other for other in results if other.unify == result.unify)
        off = next((o for o in results[:place] if o.model == result.model and o.unify == "off"), None)
        for other in (first, off):
            if other is None or other is result:
                continue
            names = f"{result.model}, {result.unify}", f"{other.model}, {other.unify}"
            for one, two, title in (
                (result, other, f"found better by {names[0]} than by {names[1]}"),
                (other, result, f"found better by {names[1]} than by {names[0]}"),
            ):
                chosen = sheets.changed(one, two)
                if len(chosen):
                    drawn.append(sheets.changed_sheet(title, one, two, chosen.tolist(), protocol, album))
    return drawn


def _maps(
    subject: Subject, first: Result, album: Album, advance: Advance | None
) -> tuple[list[ModelMaps], list[MapRow]]:
    """Each model's maps; and of checkpoints the classifier's, where its training pictures are at hand."""
    if subject.protocol is None:
        return [], []
    asked = sheets.asked(first, subject.protocol)
    found = [asked[place] for place in np.flatnonzero(first.measured.ranking.first_match == 1)]
    maps, trained = [], []
    for path in subject.models:
        embedder = open_model(path, subject.device)
        shown = model_maps(path, embedder, subject.protocol, found, album, advance)
        if path.suffix == ".pt" and subject.root is not None:
            try:
                trained.append(
                    classifier_maps(
                        embedder.name,
                        path,
                        subject.root,
                        album,
                        acknowledge_withdrawn=subject.acknowledge_withdrawn,
                    )
                )
            except (ValueError, OSError) as error:
                shown.notes.append(f"cannot show its classifier's sensitivity: {error}")
        maps.append(shown)
    return maps, trained
