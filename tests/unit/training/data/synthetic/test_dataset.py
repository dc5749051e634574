"""What a folder of drawn pictures promises."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from models import occlusion
from training.cli import app
from training.data.records import DatasetError, Picture
from training.data.synthetic import Plan, dataset, draw, read_manifest, read_pictures, write_dataset
from training.data.synthetic.benchmark import main
from training.data.synthetic.dataset import MANIFEST

SMALL = Plan(people=4, cameras=3, per_camera=2, seed=3, height=32, width=16, occluded_share=0.5)


def test_manifest_comes_back_as_written(tmp_path: Path) -> None:
    written = write_dataset(tmp_path / "out", SMALL)
    assert read_manifest(tmp_path / "out") == written
    assert len(written) == 4 * 3 * 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {d.path.name for d in written} | {MANIFEST}
    assert read_pictures(tmp_path / "out")[0] == Picture(tmp_path / "out" / "00001_c1_00.png", 1, 1)


def test_files_hold_the_pictures_that_the_manifest_describes(tmp_path: Path) -> None:
    for drawn in write_dataset(tmp_path / "out", SMALL):
        index = int(drawn.path.stem[-2:])
        picture = draw(
            drawn.person, drawn.camera, index, seed=3, height=32, width=16, occlusion=drawn.occlusion
        )
        assert np.array_equal(np.asarray(Image.open(drawn.path)), picture.image)
        assert drawn.fraction == pytest.approx(picture.fraction, abs=1e-6)


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a", SMALL)
    write_dataset(tmp_path / "b", SMALL)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_queries_show_occluded_people_from_cameras_that_the_gallery_lacks(tmp_path: Path) -> None:
    plan = Plan(people=10, cameras=3, per_camera=2, seed=5, height=32, width=16, queries=16)
    drawn = write_dataset(tmp_path / "out", plan)
    gallery = [picture for picture in drawn if picture.role == "gallery"]
    queries = [picture for picture in drawn if picture.role == "query"]
    assert len(queries) == 16
    assert all(picture.occlusion == occlusion.NONE for picture in gallery)
    assert Counter(picture.occlusion for picture in queries) == dict.fromkeys(range(1, 9), 2)
    seen = {(picture.person, picture.camera) for picture in gallery}
    assert all((picture.person, picture.camera) not in seen for picture in queries)
    assert {picture.person for picture in queries} <= {picture.person for picture in gallery}


def test_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("four years")
    with pytest.raises(FileExistsError, match="not empty"):
        write_dataset(tmp_path / "out", SMALL)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.txt"]


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert len(write_dataset(tmp_path / "out", SMALL)) == 24
    assert len(read_manifest(tmp_path / "out")) == 24


def test_interrupted_run_leaves_no_folder_that_looks_finished(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        assert not (tmp_path / "out").exists()
        assert len(list(tmp_path.glob(".out.unfinished-*"))) == 1
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "out", SMALL, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_folder_filled_meanwhile_is_left_alone(tmp_path: Path) -> None:
    def intrude(done: int, total: int) -> None:
        if done == total:
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "thesis.txt").write_text("four years")

    with pytest.raises(FileExistsError, match="not empty"):
        write_dataset(tmp_path / "out", SMALL, progress=intrude)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "thesis.txt"]


@pytest.mark.parametrize(
    "numbers",
    [
        {"people": 0, "cameras": 2},
        {"people": 2, "cameras": 0},
        {"people": 2, "cameras": 2, "occluded_share": 1.1},
        {"people": 2, "cameras": 2, "queries": 3},
        {"people": 2, "cameras": 1, "queries": 1},
        {"people": 2, "cameras": 1, "near_identical": -0.5},
    ],
)
def test_plan_that_cannot_be_drawn_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must be|at most|two cameras"):
        Plan(**numbers)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"occlusion": "middle"}, "line 2: unknown occlusion"),
        ({"role": "judge"}, "line 2: role"),
        ({"person": "anna"}, "line 2"),
        ({"person": None}, "columns"),
    ],
)
def test_broken_manifest_is_named_with_its_line(
    tmp_path: Path, changed: dict[str, str | None], fault: str
) -> None:
    write_dataset(tmp_path / "out", Plan(people=1, cameras=1, height=16, width=16))
    manifest = tmp_path / "out" / MANIFEST
    with manifest.open(newline="") as file:
        row: dict[str, str | None] = {**next(csv.DictReader(file)), **changed}
    kept = {column: value for column, value in row.items() if value is not None}
    manifest.write_text(f"{','.join(kept)}\n{','.join(kept.values())}\n")
    with pytest.raises(DatasetError, match=fault):
        read_manifest(tmp_path / "out")


def test_manifest_has_the_documented_columns(tmp_path: Path) -> None:
    write_dataset(tmp_path / "out", SMALL)
    documented = re.findall(r"^``(\w+)``  ", dataset.__doc__ or "", flags=re.MULTILINE)
    header = (tmp_path / "out" / MANIFEST).read_text().splitlines()[0]
    assert header.split(",") == documented


def test_label_maps_and_masks_lie_beside_the_pictures_where_asked(tmp_path: Path) -> None:
    for drawn in write_dataset(tmp_path / "out", replace(SMALL, labels=True)):
        index = int(drawn.path.stem[-2:])
        picture = draw(
            drawn.person, drawn.camera, index, seed=3, height=32, width=16, occlusion=drawn.occlusion
        )
        assert drawn.labels == tmp_path / "out" / "labels" / f"{drawn.path.stem}.png"
        assert np.array_equal(np.asarray(Image.open(drawn.labels)), picture.labels)
        assert (drawn.mask is None) == (drawn.occlusion == occlusion.NONE)
        if drawn.mask is not None:
            assert np.array_equal(np.asarray(Image.open(drawn.mask)), picture.mask)
        assert drawn.hidden == pytest.approx(picture.hidden, abs=1e-6)
        assert (drawn.view, drawn.occluder) == (picture.view, picture.occluder or "")


def test_manifest_tells_who_is_whose_twin_and_in_what_they_differ(tmp_path: Path) -> None:
    plan = Plan(people=7, cameras=1, seed=3, height=16, width=16, near_identical=1.0)
    people = {drawn.person: drawn for drawn in write_dataset(tmp_path / "out", plan)}
    for person in range(1, 7):
        twin = people[people[person].twin_of or 0]
        assert twin.twin_of == person
        assert twin.twin_detail == people[person].twin_detail in ("shoes", "bag", "collar")
    # The seventh's twin would be the eighth, who is not in this data set.
    assert (people[7].twin_of, people[7].twin_detail) == (None, "")


def test_data_set_is_pinned_byte_for_byte(tmp_path: Path) -> None:
    plan = Plan(people=6, cameras=3, seed=7, occluded_share=0.5, queries=3, near_identical=0.5, labels=True)
    write_dataset(tmp_path / "out", plan)
    digest = hashlib.sha256()
    for path in sorted((tmp_path / "out").rglob("*.*")):
        digest.update(path.relative_to(tmp_path).as_posix().encode() + path.read_bytes())
    assert digest.hexdigest() == "3c00ae8e9c84600a25c3d35c37614a8b4e3f51849b208ef87834ebe5c28b2210"


def test_command_draws_a_contact_sheet_that_a_page_can_carry(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["synth", "--sheet", str(tmp_path / "sheet.png"), "--seed", "7"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "sheet.png").stat().st_size < 300_000
    drawn, kept = (
        np.asarray(Image.open(path).convert("RGB"))
        for path in (tmp_path / "sheet.png", Path(dataset.__file__).with_name("contact-sheet.png"))
    )
    assert np.array_equal(drawn, kept), "draw it again: see training/README.md"


def test_command_without_folder_and_sheet_says_what_it_needs() -> None:
    result = CliRunner().invoke(app, ["synth"])
    assert result.exit_code == 1
    assert "name a folder OUT" in result.output


def test_folder_without_manifest_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no manifest\.csv"):
        read_manifest(tmp_path)


def test_command_writes_and_tells_what_it_wrote(tmp_path: Path) -> None:
    sizes = ["--people", "3", "--cameras", "2", "--queries", "2", "--height", "32", "--width", "16"]
    arguments = ["synth", str(tmp_path / "out"), *sizes, "--format", "jpg", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["queries"] == 2
    assert told["gallery"] == 4
    assert len(list((tmp_path / "out").glob("*.jpg"))) == told["pictures"] == 6
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "not empty" in again.output


def test_drawing_needs_no_torch_and_no_onnx_runtime(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'onnx', 'onnxruntime', 'faiss'):\n"
        "    sys.modules[name] = None  # importing it fails, as where it is not installed\n"
        "from training.cli import app\n"
        f"app(['synth', {str(tmp_path / 'out')!r}, '--people', '2', '--cameras', '2', '--queries', '1'])\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert len(read_manifest(tmp_path / "out")) == 4


def test_benchmark_measures_drawing(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--pictures", "4", "--height", "32", "--width", "16"])
    assert re.fullmatch(
        r"4 pictures of 32x16: \d+ pictures/s of one core's time, \d+ pictures/s on the clock; "
        r"\d+\.\d\d times as many as JPEGs of that size are decoded\n",
        capsys.readouterr().out,
    )
