from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.drawn_datasets import draw_market1501, draw_partial_ilids
from tests.drawn_layouts import draw_tree
from training.cli import app
from training.data.records import Counts
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


def test_verify_calls_complete_what_has_every_published_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_partial_ilids(tmp_path)
    offer = protocols.OFFERS["partial-ilids"]
    known = replace(offer, counts=Counts(0, 0, 6, 6, None, 6))  # a number nobody published is not compared
    monkeypatch.setattr(protocols, "OFFERS", {"partial-ilids": known})
    answer = RUN.invoke(app, ["datasets", "verify", "--root", str(tmp_path)])
    assert answer.exit_code == 0, answer.output
    assert "complete" in answer.stdout
    monkeypatch.setattr(
        protocols, "OFFERS", {"partial-ilids": replace(offer, counts=Counts(0, 0, 7, 6, None, 6))}
    )
    answer = RUN.invoke(app, ["datasets", "verify", "--root", str(tmp_path)])
    assert answer.exit_code == 1
    assert "query 6 (expected 7)" in " ".join(answer.stdout.replace("│", " ").split())


def test_verify_counts_your_own_pictures_where_they_lie(tmp_path: Path) -> None:
    draw_tree(tmp_path / "site", ["anna/a.jpg", "anna/b.jpg", "ben/a.jpg"])
    answer = RUN.invoke(app, ["datasets", "verify", "folders:site", "--root", str(tmp_path), "--json"])
    assert answer.exit_code == 0, answer.output
    (row,) = json.loads(answer.stdout)["protocols"]
    assert row["state"] == "read"
    assert (row["counts"]["query"], row["counts"]["gallery"]) == (2, 1)


def test_verify_of_a_named_data_set_that_is_not_there_says_what_was_expected(tmp_path: Path) -> None:
    answer = RUN.invoke(app, ["datasets", "verify", "msmt17", "--root", str(tmp_path), "--json"])
    assert answer.exit_code == 1
    (row,) = json.loads(answer.stdout)["protocols"]
    assert "Expected: MSMT17_V1/list_train.txt" in row["detail"]


def test_list_names_every_protocol_with_what_it_needs() -> None:
    answer = RUN.invoke(app, ["datasets", "list", "--json"])
    content = json.loads(answer.stdout)
    assert set(content) == set(protocols.NAMES)
    assert all(entry["needs"] and entry["terms"] for entry in content.values())
    assert content["occluded-reid"]["counts"]["query_people"] == 200
    assert content["dukemtmc-reid"]["withdrawn"] is True
    assert content["folders"]["counts"] is None
    table = RUN.invoke(app, ["datasets", "list"]).stdout
    assert all(name in table for name in protocols.NAMES)


def test_published_counts_add_up() -> None:
    """What sources give as totals, against the parts: a slip in a reader's numbers shows here."""
    counts = {
        name: [number or 0 for number in asdict(offer.counts).values()]
        for name, offer in protocols.OFFERS.items()
        if offer.counts is not None
    }
    assert sum(counts["p-dukemtmc"][::2]) == 24_143
    assert counts["p-dukemtmc"][1] + counts["p-dukemtmc"][3] == 1_299
    assert sum(counts["cuhk03-new-detected"][::2]) == 14_097
    assert sum(counts["cuhk03-new-labelled"][::2]) == 14_096
    assert sum(counts["cuhk01"][::2]) == sum(counts["cuhk01-100"][::2]) == 3_884
    assert sum(counts["msmt17-trainval"][::2]) == 126_441
    assert sum(counts["dukemtmc-reid"][::2]) == 36_411
    assert sum(counts["occluded-dukemtmc"][::2]) == 35_489


def test_without_h5py_scipy_and_pyarrow_all_else_still_works(tmp_path: Path) -> None:
    draw_tree(tmp_path / "cuhk03", ["cuhk03_release/cuhk-03.mat.png"])
    (tmp_path / "cuhk03" / "cuhk03_release" / "cuhk-03.mat").write_bytes(b"")
    (tmp_path / "cuhk03" / "cuhk03_new_protocol_config_detected.mat").write_bytes(b"")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('h5py', 'scipy', 'pyarrow', 'torch'))); "
        "from training.cli import app; app(sys.argv[1:])"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
        )

    assert run("datasets", "list").returncode == 0
    answer = run("datasets", "verify", "cuhk03-new-detected", "--root", str(tmp_path))
    assert answer.returncode == 1
    assert "is not installed: install penumbra-reid[training]" in answer.stderr


def test_an_unknown_protocol_is_told_in_one_line(tmp_path: Path) -> None:
    answer = RUN.invoke(app, ["datasets", "manifest", "market", "--root", str(tmp_path)])
    assert answer.exit_code == 1
    assert "unknown protocol 'market'" in answer.output
