from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.networks.normalisation import normalise
from tests.drawn_datasets import draw_partial_ilids
from training.evaluation import protocols
from training.evaluation.features import read_pixels
from training.export import gate
from training.export.graph import BundleGraph, to_onnx
from training.fit import FitOptions, check, fit, load_training_data
from training.occlusion.mining import mined_file
from training.occlusion.selection import selection
from training.occlusion.sliding import SlidingMask
from training.recipe import Recipe, RecipeError, load_recipe
from training.systems.aos import AOSRetrainStage
from training.systems.checkpoint import load_network
from training.systems.stage import Start

RECIPES = Path(__file__).parents[4] / "training" / "recipes"
MASK = SlidingMask.of_area(0.1, 64, 32, 10)


def _recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "system": "aos",
        "epochs": 1,
        "model": {
            "backbone": "osnet_x0_25",
            "height": 64,
            "width": 32,
            "dimension": 32,
            "head": "plain",
            "dropout": 0.5,
        },
        "data": [{"kind": "synthetic", "people": 8, "cameras": 2, "per_camera": 2}],
        "sampling": {"people": 8, "pictures": 1},
        "augmentation": {"pad": 2},
        "optimiser": {"kind": "adamw", "rate": 2e-3},
        "losses": {"triplet": 0.0},
    }
    return Recipe.model_validate({**values, **changes})


def _options(out: Path, **changes: Any) -> FitOptions:
    return FitOptions(root=None, out=out, device="cpu", quiet=True, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    fit(_recipe(), _options(out))
    return out


@pytest.fixture(scope="module")
def start(run: Path) -> Start:
    """What the second stage looks at: the finished first one."""
    store, _ = load_training_data(_recipe(), None, quiet=True)

    def earlier(name: str) -> torch.nn.Module:
        return load_network(run / name / "checkpoint.pt")[0]

    return Start(store, earlier, lambda name: run / name, 1, True)


def test_re_training_starts_from_scratch(start: Start) -> None:
    """§3.3: with the same settings from the same start, not from the first stage's weights."""
    stage = AOSRetrainStage(_recipe())
    network = stage.network(8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stage.begin(network, start)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.requires_grad for parameter in network.parameters())


def _squares(stage: AOSRetrainStage, start: Start, rows: torch.Tensor) -> list[tuple[int, int] | None]:
    """Where each picture was covered (top, left), or None; and that the rest of it is untouched."""
    pictures = start.store.pictures[rows]
    covered = stage.cover(pictures.clone(), rows)
    found: list[tuple[int, int] | None] = []
    for before, after in zip(normalise(pictures), normalise(covered), strict=True):
        changed = (after - before).abs().amax(dim=0) > 1e-5
        if not changed.any():
            found.append(None)
            continue
        # The square's own edges, also where a hidden pixel had the mean colour before.
        hidden = (after.abs().amax(dim=0) < 1e-5).float()[None, None]
        full = torch.nn.functional.avg_pool2d(hidden, MASK.side, stride=1)[0, 0] > 1 - 1e-6
        top, left = (int(place) for place in full.nonzero()[0])
        inside = torch.zeros_like(changed)
        inside[top : top + MASK.side, left : left + MASK.side] = True
        assert not (changed & ~inside).any()
        found.append((top, left))
    return found


@pytest.mark.parametrize("strategy", ["sampling", "hard-1", "no-adversary", "random"])
def test_half_of_the_pictures_are_covered_where_the_strategy_says(strategy: Any, start: Start) -> None:
    stage = AOSRetrainStage(_recipe(aos={"strategy": strategy}))
    stage.begin(stage.network(8), start)
    torch.manual_seed(0)
    rows = torch.full((400,), 5)
    places = _squares(stage, start, rows)
    shown = [place for place in places if place is not None]
    assert 160 < len(shown) < 240  # four standard deviations of a fair coin
    if strategy == "random":
        assert len(set(shown)) > 100
        assert any(top % 10 or left % 10 for top, left in shown)
        return
    mined = torch.from_numpy(np.load(mined_file(start.folder("baseline"), MASK)))
    chances = selection(mined, strategy)[5]
    corners = [(top, left) for top, left in MASK.corners(torch.arange(MASK.positions)).tolist()]
    counted = Counter(shown)
    for corner, chance in zip(corners, chances.tolist(), strict=True):
        expected = chance * len(shown)
        assert abs(counted[corner] - expected) <= 4 * (expected * (1 - chance)) ** 0.5 + 1e-6, corner
    assert sum(counted[corner] for corner in corners) == len(shown)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_the_probability_of_replacing_is_the_recipes(probability: float, share: float, start: Start) -> None:
    stage = AOSRetrainStage(_recipe(aos={"probability": probability}))
    stage.begin(stage.network(8), start)
    rows = torch.arange(32)
    covered = [place is not None for place in _squares(stage, start, rows)]
    assert sum(covered) == share * len(rows)


def test_a_sweep_shares_the_first_stage_and_mines_again_for_another_mask(run: Path, tmp_path: Path) -> None:
    other = _recipe(aos={"mask_area": 0.05, "strategy": "hard-1"})
    record = fit(other, _options(tmp_path, stages_from=run, start_at="retrain"))
    assert {entry["stage"] for entry in record["history"]} == {"retrain"}
    masks = [SlidingMask.of_area(area, 64, 32, 10) for area in (0.05, 0.1)]
    assert all(mined_file(tmp_path / "baseline", mask).exists() for mask in masks)
    assert not mined_file(run / "baseline", masks[0]).exists()


def test_random_needs_no_trained_model(tmp_path: Path) -> None:
    recipe = _recipe(aos={"strategy": "random"}, stages={"baseline": {"epochs": 3}})
    assert recipe.stage_names == ("retrain",)
    record = fit(recipe, _options(tmp_path))
    assert {entry["stage"] for entry in record["history"]} == {"retrain"}


def test_the_re_trained_network_passes_the_gate(run: Path, tmp_path: Path) -> None:
    root = draw_partial_ilids(tmp_path, people=6)
    pixels = read_pixels(protocols.load("partial-ilids", root).query, 64, 32)
    graph = BundleGraph(load_network(run / "retrain" / "checkpoint.pt")[0])
    assert graph.outputs == ["embeddings"]
    session = gate.embedder_of("retrain", graph, to_onnx(graph)).session
    largest, _ = gate.compare_batches(graph, session, pixels)
    assert largest <= 1e-4


def test_a_mask_that_does_not_fit_is_refused_before_anything_starts(tmp_path: Path) -> None:
    recipe = _recipe(aos={"mask_area": 0.6})
    with pytest.raises(ValueError, match="does not fit"):
        fit(recipe, _options(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="does not fit"):
        check(recipe, None)


def test_the_recipe_has_the_papers_settings() -> None:
    recipe = load_recipe(RECIPES / "aos.toml")
    model, optimiser, own = recipe.model, recipe.optimiser, recipe.aos
    assert (model.backbone, model.height, model.width) == ("resnet50", 256, 128)
    assert (model.head, model.dropout) == ("plain", 0.6)
    assert (recipe.epochs, recipe.sampling.people, recipe.sampling.pictures) == (60, 32, 1)
    assert (optimiser.kind, optimiser.nesterov, optimiser.rate, optimiser.backbone_rate) == (
        "sgd",
        False,
        0.02,
        0.01,
    )
    assert (optimiser.weight_decay, optimiser.milestones, optimiser.warmup) == (5e-4, (25, 50), 0)
    assert (recipe.augmentation.flip, recipe.augmentation.pad, recipe.losses.triplet) == (0.5, 0, 0)
    assert (own.strategy, own.mask_area, own.stride, own.probability) == ("sampling", 0.1, 10, 0.5)
    assert recipe.stage_names == ("baseline", "retrain")
    assert recipe.at("baseline") == recipe.at("retrain") == recipe


def test_an_unknown_strategy_is_named() -> None:
    with pytest.raises(RecipeError, match=r"aos\.strategy"):
        load_recipe(RECIPES / "aos.toml", ["aos.strategy=hard-2"])
