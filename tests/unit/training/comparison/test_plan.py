"""Plans of comparisons: what they say, and that their runs are made once, in order, from where they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import training
from tests.drawn_datasets import draw_partial_ilids
from training.comparison import command
from training.comparison.command import Workplace, run_plan
from training.comparison.plan import load_plan
from training.comparison.record import read_records
from training.systems import build_stages
from training.systems.checkpoint import load_checkpoint

PLANS = Path(training.__file__).parent / "comparison" / "plans"

_RECIPE = """
name = "tiny"
system = "baseline"
epochs = 1

[model]
backbone = "osnet_x0_25"
height = 64
width = 32
dimension = 32

[[data]]
kind = "synthetic"
people = 4
cameras = 2
per_camera = 2

[sampling]
people = 4
pictures = 2
"""

_PLAN = """
recipes = "recipes"
suffix = "-small"
start = "first"

[[runs]]
recipe = "plain"

[[runs]]
name = "graded"
recipe = "plain"
variant = "with a grader"
baseline = "plain"
changes = ["grader.split=2"]
stages_from = "plain"
start_at = "grader"
seeds = [1, 2]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.setattr(command, "PROTOCOLS", ("partial-ilids",))
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "plain.toml").write_text(_RECIPE)
    (recipes / "first.toml").write_text(_RECIPE.replace("tiny", "first"))
    (tmp_path / "plan.toml").write_text(_PLAN.replace("\nseeds = [1, 2]", ""))
    root = draw_partial_ilids(tmp_path / "data")
    return Workplace(root, tmp_path / "runs", tmp_path / "records", "cpu", bundle=False, quiet=True)


def test_runs_are_made_from_where_the_plan_says_and_only_once(place: Workplace, tmp_path: Path) -> None:
    run_plan(tmp_path / "plan.toml", place)
    records = {record.name: record for record in read_records(place.records)}
    assert set(records) == {"plain-small", "graded-small"}
    assert records["graded-small"].baseline == "plain-small"
    assert records["graded-small"].variant == "with a grader"
    assert {record.start for record in records.values()} == {"first"}
    plain = load_checkpoint(place.out / "plain-small" / "checkpoint.pt").network
    taken = load_checkpoint(place.out / "graded-small" / "baseline" / "checkpoint.pt").network
    assert all(torch.equal(taken[name], value) for name, value in plain.items())

    files = [*place.out.rglob("*.pt"), *place.records.iterdir()]
    times = {path: path.stat().st_mtime_ns for path in files}
    run_plan(tmp_path / "plan.toml", place)
    assert {path: path.stat().st_mtime_ns for path in files} == times
    (place.records / "plain-small.json").unlink()
    run_plan(tmp_path / "plan.toml", place, ["plain"])
    assert (place.records / "plain-small.json").exists()
    assert (
        times[place.out / "plain-small" / "checkpoint.pt"]
        == (place.out / "plain-small" / "checkpoint.pt").stat().st_mtime_ns
    )


def test_a_second_seed_has_names_of_its_own(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(_PLAN.replace("suffix", "seeds = [1, 2]\nsuffix"))
    plan = load_plan(tmp_path / "plan.toml")
    names = [plan.recipe(run, seed).name for run in plan.runs for seed in plan.seeds_of(run)]
    assert names == ["plain-small", "plain-small-seed2", "graded-small", "graded-small-seed2"]
    assert [plan.recipe(plan.runs[1], seed).seed for seed in (1, 2)] == [1, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('baseline = "plain"', 'baseline = "later"', "refers to later, which is not before it"),
        ('name = "graded"', 'name = "plain"', "two runs are called plain"),
        ('start_at = "grader"', "", "stages_from and start_at go together"),
        ("variant", "varaint", "varaint"),
        ("[[runs]]", "[[runs", "is not TOML"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    old: str, new: str, message: str, place: Workplace, tmp_path: Path
) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(_PLAN.replace(old, new))
    with pytest.raises(ValueError, match=message):
        run_plan(path, place)
    assert not place.out.exists()


def test_a_fault_in_a_later_runs_recipe_stops_before_the_first_run(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(_PLAN.replace("grader.split=2", "grader.split=7"))
    with pytest.raises(ValueError, match=r"grader\.split"):
        run_plan(tmp_path / "plan.toml", place)
    with pytest.raises(ValueError, match="has no run other"):
        run_plan(tmp_path / "plan.toml", place, ["other"])
    assert not place.out.exists()


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_repositorys_plans_name_recipes_that_can_be(path: Path) -> None:
    plan = load_plan(path)
    systems = set()
    for run in plan.runs:
        for seed in plan.seeds_of(run):
            recipe = plan.recipe(run, seed)
            assert build_stages(recipe)
            assert run.start_at is None or run.start_at in recipe.stage_names
            systems.add(recipe.system)
    assert systems == {"baseline", "oamn", "aos", "aaa-net", "single-scale", "magnifiernet"}


def test_the_repositorys_records_are_of_its_light_plan() -> None:
    plan = load_plan(PLANS / "light.toml")
    planned = {plan.model(run.name, seed): run for run in plan.runs for seed in plan.seeds_of(run)}
    for path in command.RECORDS.glob("*.json"):
        record = json.loads(path.read_text())
        run = planned[record["name"]]
        assert record["variant"] == run.variant
        assert record["baseline"] == (plan.model(run.baseline, record["seed"]) if run.baseline else "")
