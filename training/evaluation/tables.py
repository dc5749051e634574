"""What `penumbra-train evaluate` prints: tables, or JSON. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from models import occlusion
from training.evaluation.bootstrap import Comparison, compare_rankings
from training.evaluation.results import Result, figures, percent

__all__ = ["Compared", "compare_results", "content", "tables"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One result against another on the same queries, by average precision."""

    one: Result
    other: Result
    comparison: Comparison

    def as_json(self) -> dict[str, object]:
        """The comparison as it stands in ``--json``; percentage points, to three decimals."""
        comparison = self.comparison
        return {
            "model": self.one.model,
            "unify": self.one.unify,
            "against": {"model": self.other.model, "unify": self.other.unify},
            "map_difference": round(comparison.difference, 3),
            "interval": [round(comparison.interval.low, 3), round(comparison.interval.high, 3)],
            "p": round(comparison.p, 6),
            "queries": comparison.queries,
        }


def compare_results(results: Sequence[Result]) -> list[Compared]:
    """Each model against the first under the same unification, and each unification against ``off``."""
    pairs = []
    for place, result in enumerate(results):
        first = next(other for other in results if other.unify == result.unify)
        own = next((o for o in results[:place] if o.model == result.model and o.unify == "off"), None)
        pairs += [(result, other) for other in (first, own) if other is not None and other is not result]
    return [
        Compared(one, other, compare_rankings(one.measured.ranking, other.measured.ranking))
        for one, other in pairs
        if (one.measured.ranking.first_match > 0).any()
    ]


def content(
    results: Sequence[Result], comparisons: Sequence[Compared], *, by_type: bool
) -> dict[str, object]:
    """What ``--json`` prints."""
    answer: dict[str, object] = {"results": [result.as_json() for result in results]}
    if by_type:
        answer["by_type"] = [
            {
                "model": result.model,
                "unify": result.unify,
                "type": name,
                **figures(summary),
                "grader_right": _grader_right(result, name),
            }
            for result in results
            for name, summary in result.by_type.items()
        ]
    if comparisons:
        answer["comparisons"] = [compared.as_json() for compared in comparisons]
    return answer


def tables(
    title: str, results: Sequence[Result], comparisons: Sequence[Compared], *, by_type: bool
) -> list[Table]:
    """What a person reads, the main figures first."""
    shown = [_main_table(title, results), _further_table(results)]
    if any(result.intervals for result in results):
        shown.append(_interval_table(results))
    if comparisons:
        shown.append(_comparison_table(comparisons))
    if by_type:
        shown.append(_type_table(results))
    return shown


def _main_table(title: str, results: Sequence[Result]) -> Table:
    table = Table(title=title)
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
        values += [percent(share) for share in rates]
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


def _comparison_table(comparisons: Sequence[Compared]) -> Table:
    table = Table(title="paired, by average precision")
    for name in ("model", "against"):
        table.add_column(name, overflow="fold")
    for name in ("mAP", "95 % interval", "p"):
        table.add_column(name, justify="right")
    for compared in comparisons:
        comparison = compared.comparison
        table.add_row(
            f"{compared.one.model} {compared.one.unify}",
            f"{compared.other.model} {compared.other.unify}",
            f"{comparison.difference:+.1f}",
            f"{comparison.interval.low:+.1f} to {comparison.interval.high:+.1f}",
            f"{comparison.p:.4f}",
        )
    return table


def _type_table(results: Sequence[Result]) -> Table:
    table = Table(title="by the query's graded type")
    for name in ("model", "unify", "type"):
        table.add_column(name)
    for name in ("rank-1", "mAP", "queries", "grader right, %"):
        table.add_column(name, justify="right")
    for result in results:
        for name, summary in [*result.by_type.items(), ("all", result.summary)]:
            share = _grader_right(result, name)
            table.add_row(
                result.model,
                result.unify,
                name,
                f"{summary.rank1:.1f}",
                f"{summary.map:.1f}",
                str(summary.queries),
                "" if share is None else f"{share:.1f}",
            )
    return table


def _grader_right(result: Result, name: str) -> float | None:
    """How often the grader is right where it says this type, or ("all") at all; percent."""
    if result.types is None:
        return None
    return percent(result.types.accuracy(None if name == "all" else occlusion.code_of(name)))
