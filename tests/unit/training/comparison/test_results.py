"""Run records: what is kept of a run, and the table made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models.networks.embedded import Embedded
from models.networks.graded import Graded
from tests.drawn_datasets import draw_partial_ilids
from training.comparison.command import RECORDS
from training.comparison.papers import GAINS
from training.comparison.record import (
    Measured,
    RunRecord,
    _flops,
    _parameters,
    read_records,
    record_of,
    write_record,
)
from training.comparison.table import papers_table, results_table
from training.evaluation import protocols
from training.fit import FitOptions, fit
from training.recipe import STAGES, Recipe


def _record(name: str, rank1: float, **changes: Any) -> RunRecord:
    values: dict[str, Any] = {
        "name": name,
        "system": "baseline",
        "backbone": "osnet_x0_25",
        "height": 64,
        "width": 32,
        "dimension": 32,
        "data": ("drawn people",),
        "start": "random",
        "epochs": {"baseline": 2},
        "seed": 1,
        "parameters": 0.2,
        "gflops": 0.04,
        "seconds": 120.0,
        "passes": 2400,
        "machine": "a test",
        "revision": "unknown",
        "figures": (
            Measured(
                protocol="p",
                unify="off",
                rank1=rank1,
                rank1_interval=(rank1 - 2, rank1 + 2),
                map=30.0,
                map_interval=(28.0, 32.0),
            ),
        ),
    }
    return RunRecord.model_validate({**values, **changes})


def test_a_finished_run_becomes_a_record(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "system": "baseline",
            "epochs": 1,
            "model": {"backbone": "osnet_x0_25", "height": 64, "width": 32, "dimension": 32},
            "data": [{"kind": "synthetic", "people": 4, "cameras": 2, "per_camera": 2}],
            "sampling": {"people": 4, "pictures": 2},
            "grader": {},
        }
    )
    options = {"root": None, "out": tmp_path / "run", "device": "cpu", "quiet": True}
    fit(recipe, FitOptions(**options, stop_after=3))  # type: ignore[arg-type]
    protocol = protocols.load("partial-ilids", draw_partial_ilids(tmp_path / "data"))
    with pytest.raises(ValueError, match="not finished"):
        record_of(tmp_path / "run" / "checkpoint.pt", [protocol], quiet=True)
    fit(recipe, FitOptions(**options, resume=True))  # type: ignore[arg-type]
    record = record_of(tmp_path / "run" / "checkpoint.pt", [protocol], device="cpu", quiet=True)
    assert (record.epochs, record.passes) == ({"baseline": 1, "grader": 1}, 2 * 8 + 2 * 8 * 5)
    assert [(figure.protocol, figure.unify) for figure in record.figures] == [
        ("partial-ilids", "off"),
        ("partial-ilids", "auto"),
    ]
    assert read_records(write_record(record, tmp_path / "records").parent) == [record]


class _Linear(nn.Module):
    """An embedding of 3·4·2 pixels by one matrix, and a classifier that no embedding needs."""

    has_grader, has_attention = False, False
    height, width, dimension = 4, 2, 5

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(24, 5, bias=False)
        self.classifier = nn.Linear(5, 100)

    def embed(self, pictures: torch.Tensor) -> Embedded:
        return Embedded(self.backbone(pictures.flatten(1)))


def test_cost_counts_only_what_an_embedding_needs() -> None:
    network = _Linear()
    assert _parameters(network) == 24 * 5
    assert _flops(network) == 2 * 24 * 5
    graded = Graded.__new__(Graded)
    nn.Module.__init__(graded)
    graded.network = network
    assert _parameters(graded) == 24 * 5


def test_the_table_shows_gains_over_the_baseline_named() -> None:
    plain = _record("plain", 50.0)
    ours = _record("ours", 56.5, system="aos", baseline="plain", epochs={"baseline": 2, "retrain": 3})
    elsewhere = _record("elsewhere", 10.0, height=128)
    table = results_table([ours, elsewhere, plain])
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert (
        "| aos | off | 56.5 [54, 58] / 30.0 [28, 32] (+6.5 / +0.0) | 2 + 3 | 0.20 | 0.04 | 2 | 20 |" in rows
    )
    assert rows.index(next(row for row in rows if row.startswith("| baseline | off | 50.0"))) < rows.index(
        next(row for row in rows if row.startswith("| aos"))
    )
    assert table.count("weights started from") == 2  # another size is another table


def test_a_record_without_its_baseline_is_refused(tmp_path: Path) -> None:
    write_record(_record("ours", 50.0, baseline="plain"), tmp_path)
    with pytest.raises(ValueError, match="no record"):
        read_records(tmp_path)
    (tmp_path / "ours.json").write_text("{}")
    with pytest.raises(ValueError, match="is no run record"):
        read_records(tmp_path)


def test_the_repositorys_own_records_can_be_read() -> None:
    results_table(read_records(RECORDS))


def test_every_system_has_its_papers_gain() -> None:
    assert {gain.system for gain in GAINS} == set(STAGES) - {"baseline"}
    assert "| aos | Market-1501 | 84.4 / 67.0 | 86.5 / 70.4 | +2.1 / +3.5 |" in papers_table()
