from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from models import occlusion
from tests.drawn_datasets import draw_market1501, draw_partial_ilids
from tests.handmade_bundle import write_handmade_bundle
from training.cli import app
from training.evaluation.feature_folder import FeatureFolder, FeatureFolderError

RUN = CliRunner()


def run(*arguments: object) -> str:
    answer = RUN.invoke(app, [str(argument) for argument in arguments])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def results(*arguments: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run("evaluate", *arguments, "--json"))["results"]
    return rows


def write_folder(path: Path, people: int = 4, dimension: int = 6) -> Path:
    """Features of people that are far apart; two pictures of each answer, one asks."""
    path.mkdir()
    generator = np.random.default_rng(0)
    centres = 5 * generator.normal(size=(people, dimension))
    for name, each, camera in (("query", 1, 1), ("gallery", 2, 2)):
        person = np.repeat(np.arange(people), each)
        features = centres[person] + generator.normal(size=(len(person), dimension))
        np.save(path / f"{name}.npy", features.astype(np.float32))
        lines = [f"{who},{camera}" for who in person]
        (path / f"{name}.csv").write_text("\n".join(["person,camera", *lines]) + "\n")
    return path


def test_a_bundles_features_from_files_give_the_bundles_own_figures(tmp_path: Path) -> None:
    bundle, root = write_handmade_bundle(tmp_path / "graded.onnx"), draw_partial_ilids(tmp_path)
    data = ("--dataset", "partial-ilids", "--root", root)
    run("features", bundle, tmp_path / "out", *data, "--every-code", "--quiet")
    own = results(bundle, *data, "--unify", "all")
    assert [row["unify"] for row in own] == ["off", "auto", "fuse"]
    assert results(bundle, tmp_path / "out", *data, "--unify", "all") == own + own
    assert results(tmp_path / "out", "--unify", "all") == own


def test_learned_distances_are_fitted_on_the_folders_training_half(tmp_path: Path) -> None:
    bundle = write_handmade_bundle(tmp_path / "plain.onnx", grader=False)
    root = draw_market1501(tmp_path, people=20, cameras=3, per_camera=2)
    data = ("--dataset", "market1501-val", "--root", root)
    run("features", bundle, tmp_path / "out", *data, "--train", "--quiet")
    measured = ("--distance", "xqda", "--unify", "off", "--rerank", "--k1", 6)
    assert results(tmp_path / "out", *measured) == results(bundle, *data, *measured)


def test_whole_features_alone_are_evaluated_and_not_unified(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "foreign")
    (row,) = results(folder, "--unify", "all")
    assert (row["model"], row["dataset"], row["unify"]) == ("foreign", "foreign", "off")
    assert (row["rank1"], row["queries"], row["gallery"]) == (100.0, 4, 8)
    answer = RUN.invoke(app, ["evaluate", str(folder), "--unify", "auto"])
    assert answer.exit_code == 1
    assert "[n, 9, D]" in answer.output


def test_half_precision_and_labels_in_an_archive_are_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "foreign")
    for name in ("query", "gallery"):
        np.save(folder / f"{name}.npy", np.load(folder / f"{name}.npy").astype(np.float16))
        people, cameras = np.loadtxt(folder / f"{name}.csv", delimiter=",", skiprows=1, dtype=np.int64).T
        (folder / f"{name}.csv").unlink()
        grades = np.full((len(people), len(occlusion.PLACES)), 0.25)
        np.savez(folder / f"{name}.npz", person=people, camera=cameras, grades=grades)
    opened = FeatureFolder.open(folder)
    assert opened.query.stored.dtype == np.float16
    assert isinstance(opened.gallery.stored, np.memmap)
    assert opened.gallery.grades is not None
    assert results(folder)[0]["rank1"] == 100.0


def test_folders_on_other_pictures_are_not_compared(tmp_path: Path) -> None:
    bundle, root = write_handmade_bundle(tmp_path / "graded.onnx"), draw_partial_ilids(tmp_path)
    folder = write_folder(tmp_path / "foreign")
    arguments = [bundle, folder, "--dataset", "partial-ilids", "--root", root]
    answer = RUN.invoke(app, ["evaluate", *map(str, arguments)])
    assert answer.exit_code == 1
    assert "not those of partial-ilids" in " ".join(answer.output.split())


def test_a_model_without_a_data_set_is_refused(tmp_path: Path) -> None:
    bundle = write_handmade_bundle(tmp_path / "graded.onnx")
    answer = RUN.invoke(app, ["evaluate", str(bundle)])
    assert answer.exit_code == 1
    assert "--dataset and --root" in answer.output


def test_features_are_not_written_over_others(tmp_path: Path) -> None:
    bundle, root = write_handmade_bundle(tmp_path / "graded.onnx"), draw_partial_ilids(tmp_path)
    folder = write_folder(tmp_path / "foreign")
    arguments = ["features", bundle, folder, "--dataset", "partial-ilids", "--root", root]
    answer = RUN.invoke(app, list(map(str, arguments)))
    assert answer.exit_code == 1
    assert "already" in answer.output


def spoil(folder: Path, fault: str) -> None:
    features = np.load(folder / "gallery.npy")
    if fault == "missing features":
        (folder / "gallery.npy").unlink()
    elif fault == "missing labels":
        (folder / "gallery.csv").unlink()
    elif fault == "not an array":
        (folder / "gallery.npy").write_bytes(b"nothing")
    elif fault == "whole numbers":
        np.save(folder / "gallery.npy", features.astype(np.int64))
    elif fault == "seven codes":
        np.save(folder / "gallery.npy", np.repeat(features[:, None], 7, axis=1))
    elif fault == "other length":
        np.save(folder / "gallery.npy", features[:, :3])
    elif fault == "too few":
        np.save(folder / "gallery.npy", features[:-1])
    elif fault == "not a number":
        features[5, 2] = np.nan
        np.save(folder / "gallery.npy", features)
    elif fault == "no camera":
        (folder / "gallery.csv").write_text("person\n" + "1\n" * 8)
    elif fault == "words":
        (folder / "gallery.csv").write_text("person,camera\n" + "anna,1\n" * 8)
    elif fault == "fractions":
        (folder / "gallery.csv").unlink()
        np.savez(folder / "gallery.npz", person=np.full(8, 1.5), camera=np.zeros(8, int))
    elif fault == "unknown key":
        (folder / "about.json").write_text('{"camera": true}')


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("missing features", "has no gallery.npy"),
        ("missing labels", "neither gallery.csv nor gallery.npz"),
        ("not an array", "numpy.save"),
        ("whole numbers", "must be float"),
        ("seven codes", r"\[n, 9, D\]"),
        ("other length", "query.npy has features of 6 numbers, gallery.npy of 3"),
        ("too few", "has 7 features, but 8 are labelled"),
        ("not a number", "feature 5 is not all finite"),
        ("no camera", "has no 'camera'"),
        ("words", "whole numbers"),
        ("fractions", "not whole"),
        ("unknown key", "does not validate"),
    ],
)
def test_a_wrong_folder_says_what_is_wrong_with_it(tmp_path: Path, fault: str, said: str) -> None:
    folder = write_folder(tmp_path / "foreign")
    spoil(folder, fault)
    with pytest.raises(FeatureFolderError, match=said):
        FeatureFolder.open(folder)
