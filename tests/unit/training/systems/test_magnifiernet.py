from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from training.data.parts import PARTS
from training.data.synthetic import draw
from training.export.gate import compare_batches, embedder_of
from training.export.graph import BundleGraph, to_onnx
from training.fit import FitOptions, fit, load_training_data
from training.recipe import Recipe, load_recipe
from training.systems import build_stages
from training.systems.stage import Batch

RECIPES = Path(__file__).parents[4] / "training" / "recipes"


def _recipe(own: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "system": "magnifiernet",
        "epochs": 1,
        "model": {"backbone": "osnet_x0_25", "height": 64, "width": 32, "dimension": 32},
        "data": [{"kind": "synthetic", "people": 4, "cameras": 2, "per_camera": 1}],
        "sampling": {"people": 4, "pictures": 2},
        "optimiser": {"kind": "adamw", "rate": 2e-3},
        "magnifiernet": {"dimension": 16, **(own or {})},
    }
    return Recipe.model_validate({**values, **changes})


def _batch(recipe: Recipe) -> Batch:
    store, _ = load_training_data(recipe, None, quiet=True)
    rows = torch.arange(len(store.pictures))
    return Batch(store.pictures.float(), store.identities, store.pictures, rows, store.parts)


def test_the_recipe_has_the_papers_settings() -> None:
    recipe = load_recipe(RECIPES / "magnifiernet.toml")
    own = recipe.magnifiernet
    assert (recipe.model.backbone, recipe.model.height, recipe.model.width) == ("resnet50", 384, 192)
    assert (own.mask, own.diversity, own.kept, own.sampling) == (2.0, 2e-3, 4, "torso")
    assert [recipe.at(stage).epochs for stage in ("first", "second")] == [460, 40]
    assert recipe.at("second").optimiser.rate == 1e-3


def test_drawn_people_bring_their_exact_labels() -> None:
    store, _ = load_training_data(_recipe(), None, quiet=True)
    assert store.parts is not None
    expected = draw(1, 0, 0, seed=1, height=64, width=32).labels
    assert np.array_equal(store.parts[2].numpy(), expected)
    without = _recipe({"mask": 0, "adversarial": False, "fusion": "none", "diversity": 0})
    assert load_training_data(without, None, quiet=True)[0].parts is None


def test_the_sum_of_eq_4_and_the_second_stages_diversity_loss() -> None:
    recipe = _recipe({"diversity": 0.5, "mask": 3.0, "part_losses": 0.25}, losses={"triplet": 0.7})
    batch = _batch(recipe)
    first, second = build_stages(recipe)
    torch.manual_seed(0)
    network = first.network(4).eval()
    torch.manual_seed(1)
    before = first.step(network, batch)
    torch.manual_seed(1)
    after = second.step(network, batch)
    parts = before.parts
    expected = parts["identity"] + 0.7 * parts["triplet"] + parts["fusion"] + 0.25 * parts["parts"]
    expected = expected + 0.5 * (parts["adversarial"] + parts["regions"]) + 3.0 * parts["mask"]
    torch.testing.assert_close(before.total, expected)
    torch.testing.assert_close(after.total, expected + 0.5 * after.parts["diversity"])
    assert "diversity" not in parts
    assert (before.passes, set(after.parts) - set(parts)) == (8, {"diversity"})


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ({"adversarial": False}, {"identity", "triplet", "fusion", "parts", "mask"}),
        ({"fusion": "none", "diversity": 0}, {"identity", "triplet", "adversarial", "regions", "mask"}),
        ({"adversarial": False, "fusion": "none", "diversity": 0}, {"identity", "triplet", "mask"}),
        ({"adversarial": False, "fusion": "none", "diversity": 0, "mask": 0}, {"identity", "triplet"}),
    ],
)
def test_each_component_of_table_2_can_be_switched_off(own: dict[str, Any], names: set[str]) -> None:
    recipe = _recipe(own)
    stage = build_stages(recipe)[0]
    step = stage.step(stage.network(4), _batch(recipe))
    assert set(step.parts) == names
    assert bool(step.total.isfinite())


def test_the_regions_kept_change_the_adversarial_sample_alone() -> None:
    batch = _batch(_recipe())
    losses = []
    for own in ({"kept": 2}, {"kept": 6}, {"kept": 1, "sampling": "baseline"}):
        stage = build_stages(_recipe(own))[0]
        torch.manual_seed(0)
        network = stage.network(4).eval()
        torch.manual_seed(1)
        losses.append(stage.step(network, batch).parts)
    for name in ("identity", "triplet", "regions", "fusion", "parts", "mask"):
        assert len({float(parts[name].detach()) for parts in losses}) == 1, name
    assert len({float(parts["adversarial"].detach()) for parts in losses}) == 3


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"mask": 0}, "the part branches read masks"),
        ({"fusion": "none"}, "wants diversity = 0"),
        ({"kept": 3}, "kept must be even"),
        ({"kept": len(PARTS)}, "less than or equal to 6"),
    ],
)
def test_an_impossible_combination_is_refused(own: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        _recipe(own)


def test_real_data_without_part_labels_is_refused() -> None:
    with pytest.raises(ValidationError, match="say for the data market1501-val where they come from"):
        _recipe(data=[{"kind": "protocol", "protocol": "market1501-val"}])


def _folders(root: Path, map_size: tuple[int, int]) -> Recipe:
    """Two people with two pictures each in a manifest, label maps beside them."""
    (root / "parts" / "own").mkdir(parents=True)
    (root / "own").mkdir()
    lines = ["path,person,camera,split"]
    for person in range(3):
        for camera in range(2):
            name = f"{person}_{camera}"
            drawn = draw(person, camera, 0, seed=1, height=64, width=32)
            Image.fromarray(drawn.image).save(root / "own" / f"{name}.png")
            Image.fromarray(drawn.labels).resize(map_size).save(root / "parts" / "own" / f"{name}.png")
            lines.append(
                f"{name}.png,{person},{camera},{'train' if person < 2 else ('query', 'gallery')[camera]}"
            )
    (root / "own" / "manifest.csv").write_text("\n".join(lines))
    data = {"kind": "protocol", "protocol": "manifest:own", "parts": {"folder": "parts", "labels": "parts"}}
    return _recipe(data=[data], sampling={"people": 2, "pictures": 2})


def test_label_maps_beside_the_data_are_read(tmp_path: Path) -> None:
    store, _ = load_training_data(_folders(tmp_path, (32, 64)), tmp_path, quiet=True)
    assert store.parts is not None
    assert np.array_equal(store.parts[3].numpy(), draw(1, 1, 0, seed=1, height=64, width=32).labels)


def test_a_label_map_of_the_wrong_size_stops_a_run_before_it_starts(tmp_path: Path) -> None:
    recipe = _folders(tmp_path, (32, 60))
    with pytest.raises(ValueError, match="is 32 × 60 pixels, its picture 32 × 64"):
        fit(recipe, FitOptions(root=tmp_path, out=tmp_path / "run", device="cpu", quiet=True))
    assert not (tmp_path / "run").exists()


def test_both_stages_run_in_bfloat16_and_the_graph_passes_the_gate(tmp_path: Path) -> None:
    recipe = _recipe(precision="bf16")
    record = fit(recipe, FitOptions(root=None, out=tmp_path, device="cpu", quiet=True))
    assert [entry["stage"] for entry in record["history"]] == ["first", "second"]
    network = build_stages(recipe)[-1].network(4)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["network"]
    network.load_state_dict(state)
    first = torch.load(tmp_path / "first" / "checkpoint.pt", weights_only=True)["network"]
    assert any(not torch.equal(first[name], value) for name, value in state.items())
    graph = BundleGraph(network)
    content = to_onnx(graph)
    pixels = np.stack([draw(person, 0, 0, seed=9, height=64, width=32).image for person in range(8)])
    largest, smallest = compare_batches(graph, embedder_of("graph", graph, content).session, pixels)
    assert largest <= 1e-4
    assert smallest > 0.9999
