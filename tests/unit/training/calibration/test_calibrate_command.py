from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.bundle import GateReport, read_bundle
from models.calibration import read_calibration
from tests.drawn_datasets import draw_market1501
from tests.handmade_bundle import write_handmade_bundle
from training.cli import app
from training.export.bundle_file import write_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle that may be written again: it has a gate report."""
    made = read_bundle(write_handmade_bundle(tmp_path / "handmade.onnx"))
    gate = GateReport(
        batches=[1], max_abs_difference=0, min_cosine=1, same_top10=1, map_difference=0, pictures="none"
    )
    return write_bundle(made.content, made.metadata.model_copy(update={"gate": gate}), made.path).path


def calibrate(bundle: Path, root: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(
        app,
        [
            *("calibrate", str(bundle), "--root", str(root)),
            *("--dataset", "market1501-val", "--dataset", "market1501-val-occluded"),
            *arguments,
        ],
    )
    return result.exit_code, result.stdout, result.stderr


def test_a_calibration_goes_into_the_bundle_or_beside_it(tmp_path: Path, bundle: Path) -> None:
    root = draw_market1501(tmp_path / "data", people=50)
    before = read_bundle(bundle)
    beside, plot = tmp_path / "out" / "site.json", tmp_path / "out" / "reliability.svg"
    status, out, _ = calibrate(
        bundle, root, "--json", "--json-out", str(beside), "--plot", str(plot), "--prior", "0.2"
    )
    assert status == 0
    answer = json.loads(out)
    assert answer["people"] == 10
    assert set(answer["held_out"]) == {"off", "auto", "fuse"}
    for held in answer["held_out"].values():
        assert held["ece"] < held["ece_raw"]
        assert held["false_matches"]["0.1"] < 0.3
    assert "<svg" in plot.read_text()
    assert read_bundle(bundle).fingerprint == before.fingerprint
    calibration = read_calibration(beside, before.fingerprint)
    assert (calibration.prior, calibration.match_rate) == (0.2, 0.01)
    assert calibration.data == ["market1501-val", "market1501-val-occluded"]

    status, out, _ = calibrate(bundle, root, "--out", str(bundle), "--prior", "0.2")
    assert status == 0
    assert "chosen false-match rates" in out
    after = read_bundle(bundle)
    assert after.metadata.calibration == calibration
    assert after.fingerprint != before.fingerprint
    assert after.metadata.model_copy(update={"calibration": None}) == before.metadata
    assert "## Calibration" in bundle.with_suffix(".md").read_text()

    status, out, _ = calibrate(bundle, root, "--json")
    present, held = (json.loads(out)[name]["auto"] for name in ("present", "held_out"))
    assert answer["present"] == {}
    assert present["ece"] < held["ece_raw"]
    assert present["false_matches"]["0.1"] <= 0.1  # these very pairs set the threshold


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--match-rate", "0.2"], "match_rate"),
        (["--prior", "1"], "prior"),
        (["--most", "2"], "allow more"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    tmp_path: Path, bundle: Path, arguments: list[str], words: str
) -> None:
    root = draw_market1501(tmp_path / "data", people=10)
    status, _, error = calibrate(bundle, root, *arguments)
    assert status == 1
    assert words in error
    assert "Traceback" not in error
