from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

from models.networks.normalisation import normalise
from training.export import gate
from training.export.graph import BundleGraph, to_onnx
from training.losses.bounded_exponential import bounded_exponential
from training.losses.triplet import batch_hard_triplet
from training.recipe import Recipe
from training.systems import build_stages
from training.systems.stage import Batch

HEIGHT, WIDTH, PEOPLE = 64, 32, 4
OFF = {
    "erasing": "none",
    "bounded": False,
    "attention": "none",
    "reconstructive": False,
    "generalised_mean": False,
    "heads": 1,
    "momentum_elimination": False,
}


def _recipe(own: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "system": "single-scale",
        "model": {"backbone": "osnet_x0_25", "height": HEIGHT, "width": WIDTH, "dimension": 24},
        "data": [{"kind": "synthetic", "people": PEOPLE}],
        "single_scale": own or {},
    }
    return Recipe.model_validate({**values, **changes})


def _batch() -> Batch:
    torch.manual_seed(5)
    pictures = 255.0 * torch.rand(2 * PEOPLE, 3, HEIGHT, WIDTH)
    identities = torch.arange(PEOPLE).repeat_interleave(2)
    return Batch(pictures, identities, pictures.byte(), torch.arange(2 * PEOPLE))


class _Kept(nn.Module):
    """A network that remembers what came in and what it answered."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> Any:
        self.pictures, self.output = pictures, self.network(pictures)
        return self.output


def _step(recipe: Recipe) -> tuple[Any, _Kept]:
    (stage,) = build_stages(recipe)
    torch.manual_seed(0)
    network = _Kept(stage.network(PEOPLE).train())
    return stage.step(network, _batch()), network


def test_the_total_is_equation_5_on_both_features_of_both_copies() -> None:
    recipe = _recipe({"alpha": 0.7, "distance": 2.0}, losses={"identity": 0.5, "label_smoothing": 0.1})
    step, network = _step(recipe)
    identities = torch.arange(PEOPLE).repeat_interleave(2).repeat(2)
    assert step.passes == len(network.pictures) == 4 * PEOPLE
    expected = torch.zeros(())
    for head in (network.output.head, network.output.reconstructed):
        for logits in (head.logits[:, 0], head.logits[:, 1]):
            expected += 0.5 * functional.cross_entropy(logits, identities, label_smoothing=0.1)
        expected += 2.0 * bounded_exponential(head.representation, identities, 0.7)
    torch.testing.assert_close(step.total, expected)


def test_everything_off_is_identity_and_triplet_loss_on_whole_pictures() -> None:
    recipe = _recipe(OFF, losses={"triplet": 0.7, "margin": 0.3, "squared": False})
    step, network = _step(recipe)
    identities, output = _batch().identities, network.output
    assert output.reconstructed is None
    assert (step.passes, len(network.network.attention)) == (2 * PEOPLE, 0)
    identity = functional.cross_entropy(output.head.logits, identities)
    triplet = batch_hard_triplet(output.head.representation, identities, 0.3, squared=False)
    torch.testing.assert_close(step.total, identity + 0.7 * triplet)


@pytest.mark.parametrize(
    ("change", "passes", "parts"),
    [
        ({"erasing": "compound"}, 16, {"identity", "triplet"}),
        ({"erasing": "random"}, 8, {"identity", "triplet"}),
        ({"bounded": True}, 8, {"identity", "bounded_exponential"}),
        (
            {"reconstructive": True},
            8,
            {"identity", "triplet", "identity_reconstructed", "triplet_reconstructed"},
        ),
        ({"heads": 2}, 8, {"identity", "triplet"}),
        ({"attention": "disentangled"}, 8, {"identity", "triplet"}),
        ({"momentum_elimination": True}, 8, {"identity", "triplet"}),
    ],
)
def test_each_component_is_switched_alone(change: dict[str, Any], passes: int, parts: set[str]) -> None:
    step, network = _step(_recipe({**OFF, **change}))
    assert (step.passes, set(step.parts)) == (passes, parts)
    erased = not torch.equal(network.pictures[:8], _normalised())
    assert erased == (change.get("erasing") in ("compound", "random"))
    assert bool(network.network.mean_feature.any()) == ("momentum_elimination" in change)
    assert len(network.network.attention) == (5 if "attention" in change else 0)
    assert network.output.head.logits.ndim == (3 if "heads" in change else 2)


def _normalised() -> torch.Tensor:
    return normalise(_batch().pictures)


@pytest.mark.parametrize(
    ("own", "changes", "names"),
    [
        ({}, {"model": {"backbone": "osnet_x0_25", "head": "plain"}}, "model.head"),
        ({"heads": 5}, {"model": {"backbone": "osnet_x0_25", "dimension": 24}}, "heads = 5"),
        (
            {"erasing": "random"},
            {"sampling": {"people": 4, "pictures": 1}, "losses": {"triplet": 0.0}},
            "no pairs",
        ),
    ],
)
def test_impossible_combinations_are_named_before_anything_starts(
    own: dict[str, Any], changes: dict[str, Any], names: str
) -> None:
    with pytest.raises(ValueError, match=names):
        build_stages(_recipe(own, **changes))


@pytest.mark.parametrize("key", [{"alpha": 0.0}, {"beta": 1.0}, {"erasing": "all"}, {"alhpa": 0.3}])
def test_settings_out_of_range_and_unknown_keys_are_refused(key: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(key))):
        _recipe(key)


@pytest.mark.parametrize("backbone", ["osnet_x0_25", "resnet50"])
def test_the_exported_graph_passes_the_gate_with_the_mean_inside_and_the_second_feature_outside(
    backbone: str,
) -> None:
    (stage,) = build_stages(_recipe(model={"backbone": backbone, "height": HEIGHT, "width": WIDTH}))
    torch.manual_seed(3)
    network: Any = stage.network(PEOPLE).train()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(10 if backbone == "resnet50" else 20):
            network(torch.randn(8, 3, HEIGHT, WIDTH, generator=generator))
        for block in network.attention:
            nn.init.normal_(block.value.weight, std=0.01, generator=generator)
    graph = BundleGraph(network)
    content = to_onnx(graph)
    pixels = np.random.default_rng(0).integers(0, 256, (12, HEIGHT, WIDTH, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    largest, smallest = gate.compare_batches(graph, session, pixels)
    assert largest <= gate.MAX_DIFFERENCE
    assert smallest >= 0.9999
    weights = onnx.load_model_from_string(content).graph.initializer
    assert any(
        numpy_helper.to_array(weight).size == network.dimension
        and np.allclose(numpy_helper.to_array(weight).ravel(), network.mean_feature.numpy())
        for weight in weights
    )
    assert not any("reconstructed" in weight.name for weight in weights)
