"""Run records as Markdown: each system beside its baseline, and the papers' own gains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from training.comparison.papers import GAINS
from training.comparison.record import Measured, RunRecord

__all__ = ["papers_table", "results_table"]


def results_table(records: Sequence[RunRecord]) -> str:
    """A table for each setting (backbone, size, data, start): rank-1 / mAP, intervals, gain, cost."""
    parts = []
    for _, group in groupby(sorted(records, key=_order), key=lambda record: record.setting):
        parts.append(_setting_table(list(group)))
    return "\n\n".join(parts)


def _order(record: RunRecord) -> tuple[object, ...]:
    return (*record.setting, record.baseline != "", record.system, record.variant, record.name, record.seed)


def _setting_table(records: Sequence[RunRecord]) -> str:
    """One setting's table; its facts stand above it."""
    first = records[0]
    by_name = {record.name: record for record in records}
    protocols = list(dict.fromkeys(figure.protocol for record in records for figure in record.figures))
    head = [
        f"{first.backbone}, {first.height}×{first.width}, weights started from {first.start}; "
        f"{'; '.join(first.data)}.",
        "",
        _row(["system", "unify", *protocols, "epochs", "M parameters", "GFLOPs", "minutes", "pictures/s"]),
        _row(["---", "---", *["--:"] * (len(protocols) + 5)]),
    ]
    lines = []
    for record in records:
        baseline = by_name.get(record.baseline)
        for unify in dict.fromkeys(figure.unify for figure in record.figures):
            cells = [_cell(record, baseline, protocol, unify) for protocol in protocols]
            cost = ["", "", "", "", ""]
            if unify == "off":
                cost = [
                    " + ".join(str(epochs) for epochs in record.epochs.values()),
                    f"{record.parameters:.2f}",
                    f"{record.gflops:.2f}",
                    f"{record.seconds / 60:.0f}",
                    f"{record.passes / record.seconds:.0f}",
                ]
            lines.append(_row([_title(record) if unify == "off" else "", unify, *cells, *cost]))
    return "\n".join(head + lines)


def _title(record: RunRecord) -> str:
    return f"{record.system}, {record.variant}" if record.variant else record.system


def _cell(record: RunRecord, baseline: RunRecord | None, protocol: str, unify: str) -> str:
    """rank-1 / mAP with intervals, and the gain over the baseline's figures with unification off."""
    figure = _find(record, protocol, unify)
    if figure is None:
        return ""
    text = f"{_with_interval(figure.rank1, figure.rank1_interval)} / "
    text += _with_interval(figure.map, figure.map_interval)
    other = _find(baseline, protocol, "off") if baseline is not None else None
    if other is not None:
        text += f" ({figure.rank1 - other.rank1:+.1f} / {figure.map - other.map:+.1f})"
    return text


def _with_interval(value: float, ends: tuple[float, float]) -> str:
    return f"{value:.1f} [{ends[0]:.0f}, {ends[1]:.0f}]"


def _find(record: RunRecord, protocol: str, unify: str) -> Measured | None:
    for figure in record.figures:
        if (figure.protocol, figure.unify) == (protocol, unify):
            return figure
    return None


def papers_table() -> str:
    """The papers' own figures and gains."""
    lines = [
        _row(["system", "measured on", "baseline", "method", "gain", "where"]),
        _row(["---", "---", "--:", "--:", "--:", "---"]),
    ]
    for gain in GAINS:
        difference = (gain.own[0] - gain.baseline[0], gain.own[1] - gain.baseline[1])
        lines.append(
            _row(
                [
                    gain.system,
                    gain.dataset,
                    f"{gain.baseline[0]:.1f} / {gain.baseline[1]:.1f}",
                    f"{gain.own[0]:.1f} / {gain.own[1]:.1f}",
                    f"{difference[0]:+.1f} / {difference[1]:+.1f}",
                    gain.source,
                ]
            )
        )
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
