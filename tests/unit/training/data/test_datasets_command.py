from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from tests.drawn_datasets import draw_market1501, draw_partial_ilids
from training.cli import app
from training.evaluation import protocols
from training.evaluation.occluders import read_picture

RUN = CliRunner()


def test_manifest_names_every_picture_of_the_protocol(tmp_path: Path) -> None:
    draw_partial_ilids(tmp_path)
    answer = RUN.invoke(app, ["datasets", "manifest", "partial-ilids", "--root", str(tmp_path), "--json"])
    assert answer.exit_code == 0, answer.output
    content = json.loads(answer.stdout)
    assert [entry["person"] for entry in content["query"]] == [1, 2, 3, 4, 5, 6]
    assert content["camera_rule"] is False
    assert all(Path(entry["path"]).is_file() for side in ("query", "gallery") for entry in content[side])


def test_manifest_renders_covered_queries_pixel_for_pixel(tmp_path: Path) -> None:
    draw_market1501(tmp_path / "data")
    arguments = [
        "datasets",
        "manifest",
        "market1501-val-occluded",
        "--root",
        str(tmp_path / "data"),
        "--json",
    ]
    answer = RUN.invoke(app, [*arguments, "--render", str(tmp_path / "covered")])
    assert answer.exit_code == 0, answer.output
    protocol = protocols.load("market1501-val-occluded", tmp_path / "data")
    entries = json.loads(answer.stdout)["query"]
    assert len(entries) == len(protocol.query) > 0
    for entry, picture in zip(entries, protocol.query, strict=True):
        assert np.array_equal(np.asarray(Image.open(entry["path"])), np.asarray(read_picture(picture)))
        assert entry["occlusion"] != "none"


def test_manifest_of_covered_queries_without_a_folder_to_write_to_is_refused(tmp_path: Path) -> None:
    draw_market1501(tmp_path)
    arguments = ["datasets", "manifest", "market1501-val-occluded", "--root", str(tmp_path), "--json"]
    answer = RUN.invoke(app, arguments)
    assert answer.exit_code == 1
    assert "--render" in answer.output


def test_verify_tells_an_incomplete_copy_from_a_complete_one(tmp_path: Path) -> None:
    draw_market1501(tmp_path)
    answer = RUN.invoke(app, ["datasets", "verify", "--root", str(tmp_path), "--json"])
    assert answer.exit_code == 1
    states = {row["protocol"]: row["state"] for row in json.loads(answer.stdout)["protocols"]}
    assert states["market1501-val"] == "different"
    assert states["cuhk03-val"] == "missing"


def test_list_names_every_protocol() -> None:
    answer = RUN.invoke(app, ["datasets", "list", "--json"])
    assert set(json.loads(answer.stdout)) == set(protocols.NAMES)


def test_an_unknown_protocol_is_told_in_one_line(tmp_path: Path) -> None:
    answer = RUN.invoke(app, ["datasets", "manifest", "market", "--root", str(tmp_path)])
    assert answer.exit_code == 1
    assert "unknown protocol 'market'" in answer.output
