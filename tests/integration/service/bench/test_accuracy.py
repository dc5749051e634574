"""`penumbra bench accuracy` on small drawn data sets: REST and the offline evaluation agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from models import occlusion
from service.background import start_service
from service.cli import app
from service.client import Client
from tests.handmade_bundle import write_handmade_bundle


def draw(path: Path, person: int, picture: int, code: int = occlusion.NONE) -> None:
    """A person as coloured fields, blurred by noise of this picture's own; what ``code`` hides is black."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = np.random.default_rng(person).integers(80, 200, (8, 4, 3))
    noise = np.random.default_rng((person, picture)).normal(0, 45, fields.shape)
    pixels = np.kron(np.clip(fields + noise, 45, 255).astype(np.uint8), np.ones((16, 16, 1), np.uint8))
    top, left, bottom, right = occlusion.rectangle(code, 128, 64)
    pixels[top:bottom, left:right] = 0
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Market-1501's training half and Partial-iLIDS, drawn: 40 and 24 people, some of them occluded."""
    root = tmp_path_factory.mktemp("data")
    for person in range(40):
        for camera in (1, 2):
            for number in range(3):
                name = f"{person + 1:04d}_c{camera}s1_{number:06d}_01.png"
                code = (person + number) % occlusion.COUNT if number != 1 else occlusion.NONE
                place = root / "Market-1501-v15.09.15" / "bounding_box_train" / name
                draw(place, person, 10 * camera + number, code)
    for person in range(1, 25):
        draw(root / "Partial_iLIDS" / "Gallery" / f"{person}.png", person, 1, person % 3)
        draw(root / "Partial_iLIDS" / "Probe" / f"{person}.png", person, 2, person % occlusion.COUNT)
    return root


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One with a grader, one without."""
    folder = tmp_path_factory.mktemp("bundles")
    return (
        write_handmade_bundle(folder / "graded.onnx"),
        write_handmade_bundle(folder / "plain.onnx", grader=False),
    )


def bench(*arguments: str | Path) -> tuple[int, Any, str]:
    done = CliRunner().invoke(app, ["bench", "accuracy", *map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.mark.parametrize("dataset", ["partial-ilids", "market1501-val", "market1501-val-occluded"])
def test_rest_and_offline_evaluation_agree(root: Path, bundles: tuple[Path, Path], dataset: str) -> None:
    code, lines, told = bench(
        "--dataset", dataset, "--root", root, "--bundle", bundles[0], "--bundle", bundles[1]
    )
    assert code == 0, told
    assert [(line["bundle"], line["unify"]) for line in lines] == [
        ("handmade", "off"),
        ("handmade", "auto"),
        ("handmade", "off"),
    ]
    assert lines[0]["fingerprint"] != lines[2]["fingerprint"]
    for line in lines:
        assert line["equal"] is True
        assert line["rest"]["queries"] == line["offline"]["queries"] > 0
        assert 5 < line["rest"]["map"] < 100
    # Had unification no effect, agreeing with it on would say nothing.
    assert dataset == "market1501-val-occluded" or lines[0]["rest"]["map"] != lines[1]["rest"]["map"]


def test_fused_search_and_offline_evaluation_agree(root: Path, bundles: tuple[Path, Path]) -> None:
    asked = ("--dataset", "partial-ilids", "--root", root, "--unify", "off", "--unify", "fuse")
    code, lines, told = bench(*asked, "--bundle", bundles[0], "--bundle", bundles[1])
    assert code == 0, told
    assert [line["unify"] for line in lines] == ["off", "fuse", "off", "fuse"]
    for line in lines:
        assert line["equal"] is True
    assert lines[0]["rest"]["map"] != lines[1]["rest"]["map"]


def test_running_service_is_measured_and_left_as_it_was(
    root: Path, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    service = start_service(tmp_path / "data", tmp_path / "log", bundle=bundles[0])
    arguments = ("--dataset", "partial-ilids", "--root", root, "--url", service.url)
    try:
        service.wait_until_ready()
        code, lines, told = bench(*arguments, "--bundle", bundles[0])
        assert (code, lines[1]["equal"]) == (0, True), told
        code, lines, _ = bench(*arguments)
        assert (code, lines[0]["offline"], lines[0]["equal"]) == (0, None, None)
        code, _, told = bench(*arguments, "--bundle", bundles[1])
        assert code == 1
        assert "plain.onnx" in told
        with Client(service.url) as client:
            assert list(client.galleries()) == []
    finally:
        service.stop()


@pytest.mark.parametrize(
    ("dataset", "fault"), [("no-such-set", "unknown protocol"), ("cuhk03-val", "cuhk03")]
)
def test_data_set_that_is_not_there_is_told(
    root: Path, bundles: tuple[Path, Path], dataset: str, fault: str
) -> None:
    code, _, told = bench("--dataset", dataset, "--root", root, "--bundle", bundles[0])
    assert code == 1
    assert fault in told
    assert "Traceback" not in told
