from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from pydantic import ValidationError

from models.bundle import GRADES, read_bundle
from models.networks.heads import HeadOutput
from models.networks.oamn import OAMN, OAMNOutput
from models.occlusion import PLACES, TYPES, visibility_masks
from tests.drawn_datasets import draw_partial_ilids
from training.evaluation import protocols
from training.evaluation.features import read_pixels
from training.export import gate
from training.export.graph import BundleGraph
from training.fit import FitOptions, fit
from training.losses.grouped_triplet import grouped_triplet
from training.losses.triplet import batch_hard_triplet
from training.recipe import Recipe
from training.systems.checkpoint import load_network
from training.systems.oamn import OAMNStage
from training.systems.stage import Batch

PEOPLE = torch.tensor([0, 0, 1, 1])


def _recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "system": "oamn",
        "model": {"backbone": "osnet_x0_25", "height": 32, "width": 32},
        "data": [{"kind": "synthetic", "people": 4}],
    }
    return Recipe.model_validate({**values, **changes})


class _Recorded(torch.nn.Module):
    """Features that are the picture's own pixels; remembers what it was shown and what it answered."""

    def __init__(self, has_mask: bool = True, has_grader: bool = True) -> None:
        super().__init__()
        self.has_mask, self.has_grader = has_mask, has_grader
        self.shown = torch.empty(0)
        self.output: Any = None

    def forward(self, pictures: torch.Tensor) -> OAMNOutput:
        self.shown, count = pictures, len(pictures)
        generator = torch.Generator().manual_seed(4)
        head = HeadOutput(*(torch.randn(count, 3, generator=generator) for _ in range(3)))
        mask = torch.rand(count, 1, 32, 32, generator=generator) if self.has_mask else None
        masked = pictures if mask is None else mask * pictures
        grades = torch.full((count, 4), 0.25) if self.has_grader else None
        self.output = OAMNOutput(pictures, mask, masked, head, grades)
        return self.output


def _step(network: _Recorded, **own: Any) -> tuple[float, dict[str, float]]:
    recipe = _recipe(oamn=own)
    torch.manual_seed(3)
    pictures = torch.full((4, 3, 32, 32), 200.0)
    sources = torch.zeros((4, 3, 32, 32), dtype=torch.uint8)
    step = OAMNStage(recipe).step(network, Batch(pictures, PEOPLE, sources, torch.arange(4)))
    assert step.passes == len(network.shown)
    return float(step.total), {name: float(value) for name, value in step.parts.items()}


@pytest.mark.parametrize("places", [("top", "bottom"), ("right",), PLACES])
@pytest.mark.parametrize(("half_share", "areas"), [(1.0, {0.5}), (0.0, {0.25})])
def test_copies_are_hidden_at_the_recipes_places_and_areas(
    places: tuple[str, ...], half_share: float, areas: set[float]
) -> None:
    """Table 3: the first group is whole, each other is hidden in exactly its place's rectangle."""
    network = _Recorded()
    _step(network, places=list(places), half_share=half_share)
    groups = network.shown.unflatten(0, (1 + len(places), 4))
    assert (groups[0] > 0).all()
    visible = visibility_masks(32, 32)
    for place, group in zip(places, groups[1:], strict=True):
        codes = [kind.code for kind in TYPES if kind.place == place and kind.area in areas]
        expected = torch.from_numpy(visible[codes[0]]).bool().expand(4, 3, 32, 32)
        assert torch.equal(group > 0, expected), place


def test_the_objective_is_the_weighted_sum_of_equations_4_and_10() -> None:
    total, parts = _step(_Recorded(), mask=2.0, mask_invariance=3.0, mask_completeness=0.5, grading=0.25)
    mask = 3.0 * parts["mask_invariance"] + 0.5 * parts["mask_completeness"]
    expected = 2.0 * mask + 0.5 * parts["triplet"] + parts["identity"] + 0.25 * parts["grader"]
    assert total == pytest.approx(expected, rel=1e-5)


def test_the_triplet_loss_is_grouped_or_vanilla() -> None:
    """Table 4, each against its own definition."""
    network = _Recorded()
    grouped = _step(network)[1]["triplet"]
    head = network.output.head.representation
    assert grouped == pytest.approx(float(grouped_triplet(head.unflatten(0, (5, 4)), PEOPLE, 0.5)))
    vanilla = _step(network, triplet="vanilla")[1]["triplet"]
    assert vanilla == pytest.approx(float(batch_hard_triplet(head, PEOPLE.repeat(5), 0.5)))
    assert vanilla > grouped


def test_without_occlusion_augmentation_only_the_baselines_losses_are_left() -> None:
    """Table 6, OA: whole pictures alone; there is nothing to compare masks with or to grade."""
    network = _Recorded(has_grader=False)
    total, parts = _step(network, places=[])
    assert len(network.shown) == 4
    assert set(parts) == {"identity", "triplet"}
    assert total == pytest.approx(parts["identity"] + 0.5 * parts["triplet"])


def test_each_component_is_left_out_where_its_weight_is_zero() -> None:
    """Table 6, L_mask; the others stay as they are."""
    whole = _step(_Recorded())[1]
    without = _step(_Recorded(), mask=0.0)[1]
    assert set(whole) - set(without) == {"mask_invariance", "mask_completeness"}
    assert {name: whole[name] for name in without} == without
    ungraded = _step(_Recorded(has_grader=False), grading=0.0)[1]
    assert set(whole) - set(ungraded) == {"grader"}
    assert set(_step(_Recorded(has_mask=False), mask=0.0, mask_module=False)[1]) == set(without)


def test_one_place_of_a_pair_says_nothing_of_completeness() -> None:
    parts = _step(_Recorded(), places=["top", "left"], half_share=1.0)[1]
    assert parts["mask_completeness"] == 0.0
    assert parts["mask_invariance"] > 0.0
    both = _step(_Recorded(), places=["top", "bottom"], half_share=1.0)[1]
    assert both["mask_completeness"] > 0.0


@pytest.mark.parametrize(
    ("own", "grader", "attention"),
    [
        ({}, True, True),
        ({"places": []}, False, True),
        ({"grading": 0.0}, False, True),
        ({"mask": 0.0, "mask_module": False}, True, False),
    ],
)
def test_a_network_says_truly_what_the_recipe_gave_it(
    own: dict[str, Any], grader: bool, attention: bool
) -> None:
    network = OAMNStage(_recipe(oamn=own)).network(3)
    assert isinstance(network, OAMN)
    assert (network.has_grader, network.has_attention) == (grader, attention)
    embedded = network.eval().embed(torch.randn(2, 3, 32, 32))
    assert (embedded.grades is not None, embedded.attention is not None) == (grader, attention)


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ({"mask_module": False}, "set mask = 0"),
        ({"places": ["top", "top"]}, "one twice"),
        ({"places": ["middle"]}, "places"),
        ({"triplet": "hard"}, "triplet"),
    ],
)
def test_combinations_that_cannot_be_are_refused_with_the_recipe(own: dict[str, Any], names: str) -> None:
    with pytest.raises(ValidationError, match=names):
        _recipe(oamn=own)


def test_a_trained_grader_reaches_the_bundle_and_the_gate_holds_it(tmp_path: Path) -> None:
    root = draw_partial_ilids(tmp_path, people=6)
    recipe = _recipe(
        epochs=1,
        model={"backbone": "osnet_x0_25", "height": 64, "width": 32, "dimension": 32},
        data=[{"kind": "synthetic", "people": 4, "cameras": 2, "per_camera": 2}],
        sampling={"people": 4, "pictures": 2},
        optimiser={"kind": "adamw", "rate": 2e-3},
        validate_on="partial-ilids",
    )
    fit(recipe, FitOptions(root=root, out=tmp_path / "run", device="cpu", quiet=True))
    bundle = read_bundle(tmp_path / "run" / "tiny.onnx")
    assert bundle.metadata.has_grader
    assert bundle.metadata.gate.batches == [1, 2, 7, 32]

    network, _ = load_network(tmp_path / "run" / "checkpoint.pt")
    graph = BundleGraph(network)
    pixels = read_pixels(protocols.load("partial-ilids", root).query, 64, 32)
    gate.compare_batches(graph, bundle.session(), pixels)

    model = onnx.load(tmp_path / "run" / "tiny.onnx")
    bias = next(weight for weight in model.graph.initializer if weight.name.endswith("grader.score.bias"))
    moved = numpy_helper.to_array(bias) + np.array([0.1, 0.0, 0.0, 0.0], dtype=np.float32)
    bias.CopyFrom(numpy_helper.from_array(moved, bias.name))
    changed = gate.embedder_of("changed", graph, model.SerializeToString())
    with pytest.raises(gate.GateError, match=f"{GRADES} differ from PyTorch"):
        gate.compare_batches(graph, changed.session, pixels)
