from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from models.networks.normalisation import normalise
from training import throughput
from training.fit import FitOptions, fit, learning_rate, load_training_data
from training.recipe import STAGES, Optimiser, Recipe, dump_recipe
from training.systems import build_stages
from training.systems.checkpoint import Checkpoint, load_checkpoint, load_network, start_from


def _recipe(system: str = "oamn", **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "system": system,
        "epochs": 2,
        "model": {"backbone": "osnet_x0_25", "height": 64, "width": 32, "dimension": 32},
        "data": [{"kind": "synthetic", "people": 8, "cameras": 2, "per_camera": 2}],
        "sampling": {"people": 4, "pictures": 2},
        "augmentation": {"pad": 2},
        "optimiser": {"kind": "adamw", "rate": 2e-3, "schedule": "cosine", "warmup": 0.5},
    }
    return Recipe.model_validate({**values, **changes})


def _options(out: Path, **changes: Any) -> FitOptions:
    return FitOptions(root=None, out=out, device="cpu", quiet=True, **changes)


_GRADED: dict[str, Any] = {"epochs": 1, "grader": {}, "stages": {"grader": {"epochs": 2}}}


def _resumable(name: str) -> Recipe:
    """A system's stages in 4 to 8 steps each; ``"grader"`` is the baseline with a grader behind it."""
    if name == "grader":
        return _recipe("baseline", **_GRADED)
    return _recipe(name, stages={later: {"epochs": 1} for later in STAGES[name][1:]})


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkpoint]:
    """What a run ends with that nobody cuts, by its name in :func:`_resumable`."""

    @cache
    def ended(name: str) -> Checkpoint:
        out = tmp_path_factory.mktemp(name)
        fit(_resumable(name), _options(out))
        return load_checkpoint(out / "checkpoint.pt")

    return ended


_CUTS = {
    "baseline": (1, 3, 4),
    "oamn": (3,),
    "single-scale": (3,),
    "aos": (3, 8, 10),
    "magnifiernet": (3, 10),
    "aaa-net": (3, 10, 14),
    "grader": (4, 11),
}
"""Steps in every stage; the first ones of 4 an epoch, between epochs and between stages besides."""


@pytest.mark.parametrize(("name", "cut"), [(name, cut) for name, cuts in _CUTS.items() for cut in cuts])
def test_a_run_cut_in_any_stage_and_resumed_equals_the_uninterrupted_run(
    name: str, cut: int, uninterrupted: Callable[[str], Checkpoint], tmp_path: Path
) -> None:
    recipe = _resumable(name)
    fit(recipe, _options(tmp_path, stop_after=cut))
    number, step = 0, cut
    while step > (length := 4 * recipe.at(recipe.stage_names[number]).epochs):
        number, step = number + 1, step - length
    standing = load_checkpoint(tmp_path / "checkpoint.pt")
    assert (standing.stage, standing.step) == (recipe.stage_names[number], step)
    fit(recipe, _options(tmp_path, resume=True))
    whole, resumed = uninterrupted(name), load_checkpoint(tmp_path / "checkpoint.pt")
    assert (whole.stage, whole.step) == (resumed.stage, resumed.step)
    assert resumed.stage == recipe.stage_names[-1]
    for entry, value in whole.network.items():
        torch.testing.assert_close(resumed.network[entry], value, rtol=0, atol=0, msg=entry)


_TAUGHT: dict[str, dict[str, Any]] = {
    "baseline": {},
    "oamn": {},
    "aos": {"stages": {"baseline": {"epochs": 1}}},
    "aaa-net": {"stages": {"assignment": {"epochs": 3}, "adversarial": {"epochs": 30}}},
    "single-scale": {},
    "magnifiernet": {"stages": {"second": {"epochs": 5, "optimiser": {"rate": 1e-4}}}},
}
"""What a system needs otherwise. The stage that teaches the people is long, the others are short."""


@pytest.mark.parametrize("system", _TAUGHT)
def test_a_system_overfits_eight_drawn_people(system: str, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "epochs": 80,
        "augmentation": {"flip": 0.0, "pad": 0},
        "data": [{"kind": "synthetic", "people": 8, "cameras": 2, "per_camera": 2, "seed": 3}],
        "sampling": {"people": 8, "pictures": 2},
    }
    recipe = _recipe(system, **{**values, **_TAUGHT[system]})
    record = fit(recipe, _options(tmp_path))
    network, _ = load_network(tmp_path / "checkpoint.pt")
    store, _ = load_training_data(recipe, None, quiet=True)
    with torch.no_grad():
        embeddings = network.embed(normalise(store.pictures)).embeddings
    scores = embeddings @ embeddings.T - 2.0 * torch.eye(len(embeddings))
    assert bool((store.identities[scores.argmax(dim=1)] == store.identities).all())
    if system == "oamn":
        # A grader that says 0.25 four times pays 0.45: 0.25 on whole pictures and quarters, 0.75 on halves.
        assert record["history"][-1]["grader"] < 0.4


def test_a_grader_learns_on_a_frozen_network_without_changing_it(tmp_path: Path) -> None:
    fit(_recipe("baseline", **_GRADED), _options(tmp_path))
    before, _ = load_network(tmp_path / "baseline" / "checkpoint.pt")
    after, checkpoint = load_network(tmp_path / "checkpoint.pt")
    assert checkpoint.stage == "grader"
    for name, value in before.state_dict().items():
        assert torch.equal(after.network.state_dict()[name], value), name
    assert float(after.grader.score.bias.detach().abs().max()) > 0.0
    pictures = torch.randn(3, 3, 64, 32)
    with torch.no_grad():
        embedded = after.embed(pictures)
        assert torch.equal(embedded.embeddings, before.embed(pictures).embeddings)
        assert embedded.grades is not None
        assert torch.allclose(embedded.grades, after(pictures))


def test_finished_stages_of_another_run_are_taken_over(tmp_path: Path) -> None:
    fit(_recipe("baseline", epochs=1), _options(tmp_path / "plain"))
    recipe = _recipe("baseline", **_GRADED)
    taken = _options(tmp_path / "graded", stages_from=tmp_path / "plain", start_at="grader")
    record = fit(recipe, taken)
    assert {entry["stage"] for entry in record["history"]} == {"grader"}
    fit(recipe, _options(tmp_path / "whole"))
    ours = load_checkpoint(tmp_path / "graded" / "checkpoint.pt").network
    for name, value in load_checkpoint(tmp_path / "whole" / "checkpoint.pt").network.items():
        assert torch.equal(ours[name], value), name
    with pytest.raises(ValueError, match="go together"):
        fit(recipe, _options(tmp_path / "x", start_at="grader"))
    with pytest.raises(ValueError, match="no stage 'oamn'"):
        fit(recipe, _options(tmp_path / "x", stages_from=tmp_path / "plain", start_at="oamn"))


def test_a_run_leaves_its_recipe_and_record(tmp_path: Path) -> None:
    fit(_recipe(epochs=1), _options(tmp_path))
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["data"] == ["synthetic pedestrians, seed 1: 32 pictures of 8 people"]
    assert record["passes"] == 4 * 8 * 5
    assert 'system = "oamn"' in (tmp_path / "recipe.toml").read_text()
    assert list((tmp_path / "tensorboard").rglob("events*"))


def test_an_existing_run_is_never_overwritten(tmp_path: Path) -> None:
    fit(_recipe(epochs=1), _options(tmp_path))
    with pytest.raises(ValueError, match="holds a run already"):
        fit(_recipe(epochs=1), _options(tmp_path))
    with pytest.raises(ValueError, match="not the one that"):
        fit(_recipe(epochs=3), _options(tmp_path, resume=True))


def test_real_data_without_a_root_is_refused_before_anything_starts(tmp_path: Path) -> None:
    recipe = _recipe(data=[{"kind": "protocol", "protocol": "market1501-val"}])
    with pytest.raises(ValueError, match="--root"):
        fit(recipe, _options(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_oamn_starts_from_a_baseline_without_its_classifier(tmp_path: Path) -> None:
    fit(_recipe("baseline", epochs=1), _options(tmp_path / "first"))
    network = build_stages(_recipe("oamn"))[0].network(8)
    fresh = start_from(network, tmp_path / "first" / "checkpoint.pt")
    assert {name.split(".")[0] for name in fresh} == {"head", "mask_module", "grader"}
    assert {name for name in fresh if name.startswith("head")} == {"head.classifier.weight"}
    loaded = load_checkpoint(tmp_path / "first" / "checkpoint.pt").network
    own = network.state_dict()
    assert all(torch.equal(own[name], value) for name, value in loaded.items() if name.startswith("backbone"))
    wider = _recipe("oamn", model={"backbone": "osnet_x0_5", "height": 64, "width": 32})
    other = build_stages(wider)[0].network(8)
    with pytest.raises(ValueError, match="another backbone"):
        start_from(other, tmp_path / "first" / "checkpoint.pt")


def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.pt is not a checkpoint"):
        load_checkpoint(tmp_path / "notes.pt")


def test_schedules_warm_up_step_down_and_end_at_zero() -> None:
    steps = Optimiser(schedule="steps", milestones=(2, 4), warmup=1.0)
    rates = [learning_rate(steps, step, 10, 6) for step in (0, 9, 10, 20, 40)]
    assert rates[0] < 0.1
    assert rates[1] > 0.9
    assert rates[2:] == pytest.approx([1.0, 0.1, 0.01])
    cosine = Optimiser(schedule="cosine")
    assert [learning_rate(cosine, step, 10, 4) for step in (0, 20, 40)] == pytest.approx([1.0, 0.5, 0.0])


def test_two_processes_share_a_batch_and_agree_on_the_weights(tmp_path: Path) -> None:
    """torchrun, two processes on the CPU: each takes half the people, the gradients are averaged."""
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(dump_recipe(_recipe("baseline", epochs=1)), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "training.cli", "fit", str(recipe), "--out", str(tmp_path / "run"), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["passes"] == 4 * 8
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt").step == 4


def test_the_data_path_is_measured_against_the_bare_network(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = itertools.accumulate(itertools.cycle([0.0, 2.0, 0.0, 1.0]))  # two seconds whole, one bare
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: next(passed)))
    found = throughput.measure(_recipe("oamn"), None, "cpu", rounds=2)
    assert found.ratio == found.whole / found.bare == 0.5
    assert found.device == "cpu"
