from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.drawn_datasets import draw_market1501, draw_partial_ilids
from tests.handmade_bundle import write_handmade_bundle
from training.cli import app

RUN = CliRunner()


@pytest.fixture
def bundles(tmp_path: Path) -> list[Path]:
    return [
        write_handmade_bundle(tmp_path / "graded.onnx"),
        write_handmade_bundle(tmp_path / "plain.onnx", grader=False),
    ]


def arguments(bundles: list[Path], root: Path, *more: str) -> list[str]:
    draw_partial_ilids(root)
    return ["evaluate", *map(str, bundles), "--dataset", "partial-ilids", "--root", str(root), *more]


def test_json_has_one_line_a_model_and_unification(tmp_path: Path, bundles: list[Path]) -> None:
    answer = RUN.invoke(app, arguments(bundles, tmp_path, "--json"))
    assert answer.exit_code == 0, answer.output
    results = json.loads(answer.stdout)["results"]
    assert [(row["model"], row["unify"]) for row in results] == [
        ("graded.onnx", "off"),
        ("graded.onnx", "auto"),
        ("plain.onnx", "off"),
    ]
    for row in results:
        names = " ".join(row)
        assert names.startswith("model fingerprint dataset unify rank1 rank5 rank10 map queries gallery ")
        assert names.endswith(" rank20 minp tpr_at_fpr dir_at_far distance steps")
        assert (row["dataset"], row["queries"], row["gallery"]) == ("partial-ilids", 6, 6)
        assert len(row["fingerprint"]) == 64


def test_all_measures_the_fused_score_with_a_grader_and_without(tmp_path: Path, bundles: list[Path]) -> None:
    answer = RUN.invoke(app, arguments(bundles, tmp_path, "--json", "--unify", "all"))
    assert answer.exit_code == 0, answer.output
    results = json.loads(answer.stdout)["results"]
    assert [(row["model"], row["unify"]) for row in results] == [
        ("graded.onnx", "off"),
        ("graded.onnx", "auto"),
        ("graded.onnx", "fuse"),
        ("plain.onnx", "off"),
        ("plain.onnx", "fuse"),
    ]


def test_models_are_compared_with_the_first_and_unification_with_none(
    tmp_path: Path, bundles: list[Path]
) -> None:
    answer = RUN.invoke(app, arguments(bundles, tmp_path, "--json"))
    comparisons = json.loads(answer.stdout)["comparisons"]
    assert [(row["model"], row["unify"], row["against"]) for row in comparisons] == [
        ("graded.onnx", "auto", {"model": "graded.onnx", "unify": "off"}),
        ("plain.onnx", "off", {"model": "graded.onnx", "unify": "off"}),
    ]
    for row in comparisons:
        assert 0 < row["p"] <= 1
        assert row["interval"][0] <= row["map_difference"] <= row["interval"][1]


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "xqda", "kissme"])
def test_every_distance_and_step_can_be_measured(tmp_path: Path, bundles: list[Path], distance: str) -> None:
    draw_market1501(tmp_path, people=20, cameras=3, per_camera=3)
    steps = ("--rerank", "--k1", "6", "--expand", "alpha", "--neighbours", "2", "--multi-query")
    command = ["evaluate", str(bundles[0]), "--dataset", "market1501-val", "--root", str(tmp_path)]
    measured = ("--distance", distance, "--intervals", "--trials", "10", "--by-type")
    answer = RUN.invoke(app, [*command, *measured, *steps, "--json"])
    assert answer.exit_code == 0, answer.output
    (row,) = json.loads(answer.stdout)["results"]
    assert (row["distance"], row["unify"]) == (distance, "off")
    assert row["steps"] == "multi-query+expand-alpha(2,3)+rerank(6,6,0.3)"
    assert row["intervals"]["map"][0] <= row["map"] <= row["intervals"]["map"][1]
    assert row["single_shot"]["trials"] == 10
    shown = RUN.invoke(app, [*command, *measured, "--unify", "auto"])
    assert shown.exit_code == 0, shown.output
    assert "further measures" in shown.output
    assert "95 % intervals" in shown.output


def test_steps_with_unification_are_refused(tmp_path: Path, bundles: list[Path]) -> None:
    answer = RUN.invoke(app, arguments(bundles[:1], tmp_path, "--unify", "auto", "--rerank"))
    assert answer.exit_code == 1
    assert "--unify off only" in answer.output


def test_a_learned_distance_without_a_training_half_is_refused(tmp_path: Path, bundles: list[Path]) -> None:
    answer = RUN.invoke(app, arguments(bundles[:1], tmp_path, "--distance", "xqda"))
    assert answer.exit_code == 1
    assert "has none" in answer.output


def test_graded_types_share_out_the_queries(tmp_path: Path, bundles: list[Path]) -> None:
    answer = RUN.invoke(app, arguments(bundles[:1], tmp_path, "--json", "--by-type", "--unify", "auto"))
    # Nothing is drawn over these queries, so nobody knows whether the grader is right.
    assert {row["grader_right"] for row in json.loads(answer.stdout)["by_type"]} == {None}
    by_type = {row["type"]: row["queries"] for row in json.loads(answer.stdout)["by_type"]}
    assert by_type == {"none": 3, "bottom_half": 3}


def test_table_shows_the_figures_and_the_protocols_note(tmp_path: Path, bundles: list[Path]) -> None:
    answer = RUN.invoke(app, arguments(bundles[:1], tmp_path, "--own"))
    assert answer.exit_code == 0, answer.output
    assert "auto+own" in answer.output
    assert "117 of 119 people" in answer.output


def test_unification_without_a_grader_is_refused(tmp_path: Path, bundles: list[Path]) -> None:
    answer = RUN.invoke(app, arguments(bundles[1:], tmp_path, "--unify", "auto"))
    assert answer.exit_code == 1
    assert "no grader" in answer.output


@pytest.mark.parametrize(("name", "fault"), [("model.txt", "neither"), ("missing.onnx", "missing.onnx")])
def test_models_that_cannot_be_opened_are_told_in_one_line(tmp_path: Path, name: str, fault: str) -> None:
    answer = RUN.invoke(app, arguments([tmp_path / name], tmp_path))
    assert answer.exit_code == 1
    assert fault in answer.output
    assert "Traceback" not in answer.output


def test_bundles_are_measured_where_torch_is_not_installed(tmp_path: Path, bundles: list[Path]) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from training.cli import app; "
        f"app({arguments(bundles, tmp_path, '--json')!r})"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert len(json.loads(answer.stdout)["results"]) == 3


def test_a_checkpoint_without_torch_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from training.cli import app; "
        f"app({arguments([tmp_path / 'checkpoint.pt'], tmp_path)!r})"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "penumbra-reid[training]" in answer.stderr
