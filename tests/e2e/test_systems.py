"""Every system from data to a served bundle, by the commands that a user types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from service.cli import app as penumbra
from training.cli import app as penumbra_train

_RECIPE = """
name = "tiny"
system = "{system}"
epochs = 3
validate_on = "manifest:people"

[model]
backbone = "osnet_x0_25"
height = 64
width = 32
dimension = 32

[[data]]
kind = "synthetic"
people = 8
cameras = 2
per_camera = 2

[sampling]
people = 4
pictures = 2

[augmentation]
pad = 2

[optimiser]
kind = "adamw"
rate = 2e-3

[grader]
"""


NEAR_TIES = 1.0
"""Points of mAP. The service keeps features in 16 bits; hardly trained networks tell people apart
in the last of them."""


def command(app: typer.Typer, *arguments: str | Path, codes: tuple[int, ...] = (0,)) -> str:
    """What a command prints on standard output; it must end with one of the codes."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code in codes, done.output
    return done.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people in a gallery, and occluded pictures that ask for them."""
    root = tmp_path_factory.mktemp("root")
    drawn = ["--people", "24", "--queries", "24", "--cameras", "3", "--height", "64", "--width", "32"]
    command(penumbra_train, "synth", root / "people", *drawn)
    return root


@pytest.mark.parametrize("system", ["aos", "aaa-net", "single-scale", "magnifiernet"])
def test_a_system_is_trained_with_a_grader_and_served_as_evaluated_offline(
    system: str, root: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(_RECIPE.format(system=system))
    command(penumbra_train, "fit", recipe, "--root", root, "--out", tmp_path / "run", "--device", "cpu")
    asked = ("--dataset", "manifest:people", "--root", root, "--bundle", tmp_path / "run" / "tiny.onnx")
    ways = ("--unify", "off", "--unify", "auto", "--unify", "fuse")
    lines = json.loads(command(penumbra, "bench", "accuracy", *asked, *ways, "--json", codes=(0, 1)))
    assert [line["unify"] for line in lines] == ["off", "auto", "fuse"]
    for line in lines:
        assert line["rest"]["queries"] == line["offline"]["queries"] == 24
        assert abs(line["rest"]["map"] - line["offline"]["map"]) < NEAR_TIES
    assert len({line["rest"]["map"] for line in lines}) > 1, "unification changed nothing"
