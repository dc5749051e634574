from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tests.drawn_datasets import draw_partial_ilids
from tests.handmade_bundle import write_handmade_bundle
from training.cli import app
from training.evaluation.figures import shipped

RUN = CliRunner()


def test_the_table_holds_what_evaluate_measures(tmp_path: Path) -> None:
    bundle, root = write_handmade_bundle(tmp_path / "graded.onnx"), draw_partial_ilids(tmp_path)
    data = ["--dataset", "partial-ilids", "--root", str(root)]
    table = RUN.invoke(app, ["figures", str(bundle), *data, "--dataset", "partial-ilids-nocrop"])
    assert table.exit_code == 0, table.output
    assert "| bundle | unify | partial-ilids | partial-ilids-nocrop |" in table.stdout
    measured = RUN.invoke(app, ["evaluate", str(bundle), *data, "--json"])
    for row in json.loads(measured.stdout)["results"]:
        assert f"| `graded` | {row['unify']} | {row['rank1']:.1f} / {row['map']:.1f} |" in table.stdout
    assert "| `graded` | fuse | " in table.stdout


def test_the_shipped_bundles_are_found() -> None:
    assert "baseline-osnet_x0_5-market1501.onnx" in [path.name for path in shipped()]
