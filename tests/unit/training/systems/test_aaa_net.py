from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from models.networks.aaa_net import AAANet, AssignmentOutput, OccludedOutput
from models.networks.heads import HeadOutput
from models.networks.normalisation import normalise
from tests.drawn_datasets import draw_market1501, draw_partial_ilids
from training.cli import app
from training.evaluation import protocols
from training.evaluation.features import read_pixels
from training.export import gate
from training.export.graph import BundleGraph, to_onnx
from training.fit import FitOptions, fit, load_training_data
from training.recipe import Recipe, load_recipe
from training.systems.aaa_net import AdversarialStage, AssignmentStage
from training.systems.checkpoint import load_checkpoint, load_network
from training.systems.stage import Batch

RECIPES = Path(__file__).parents[4] / "training" / "recipes"


def _recipe(**changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "tiny",
        "system": "aaa-net",
        "epochs": 1,
        "model": {"backbone": "osnet_x0_25", "height": 64, "width": 32, "dimension": 32},
        "data": [{"kind": "synthetic", "people": 8, "cameras": 2, "per_camera": 2}],
        "sampling": {"people": 4, "pictures": 2},
        "augmentation": {"pad": 2},
        "optimiser": {"kind": "adamw", "rate": 2e-3},
        "aaa_net": {"gap": -1.0},
    }
    return Recipe.model_validate({**values, **changes})


def _options(out: Path, **changes: Any) -> FitOptions:
    return FitOptions(root=None, out=out, device="cpu", quiet=True, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    fit(_recipe(), _options(out))
    return out


def _weights(run: Path, stage: str) -> dict[str, torch.Tensor]:
    return load_checkpoint(run / stage / "checkpoint.pt").network


def test_the_assignment_stage_leaves_the_baseline_as_it_was_to_the_bit(run: Path) -> None:
    before, after = _weights(run, "baseline"), _weights(run, "assignment")
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    fresh = AAANet("osnet_x0_25", 8, 64, 32, 32)
    assert {name for name in after if name not in before} == {
        name for name in fresh.state_dict() if name.startswith("attention.")
    }
    assert float((after["attention.layers.9.bias"] - 1).abs().max()) > 0


def test_the_adversarial_stage_goes_on_from_the_assignment_and_trains_all_of_it(run: Path) -> None:
    network = AdversarialStage(_recipe()).network(8)
    trained = _weights(run, "adversarial")
    moved = {
        name for name, value in _weights(run, "assignment").items() if not torch.equal(trained[name], value)
    }
    wanted = {name for name, value in network.named_parameters() if value.requires_grad}
    assert wanted <= moved
    moved_far = (
        _weights(run, "assignment")["backbone.stages.0.0.0.weight"] - trained["backbone.stages.0.0.0.weight"]
    )
    assert float(moved_far.abs().max()) < 0.1  # eight steps of at most the rate each: no fresh start


def test_without_the_fine_tuned_start_there_is_neither_assignment_nor_attention(tmp_path: Path) -> None:
    recipe = _recipe(aaa_net={"start": "baseline", "gap": -1.0}, stages={"assignment": {"epochs": 3}})
    assert recipe.stage_names == ("baseline", "adversarial")
    record = fit(recipe, _options(tmp_path))
    assert {entry["stage"] for entry in record["history"]} == {"baseline", "adversarial"}
    network, _ = load_network(tmp_path / "checkpoint.pt")
    assert not network.has_attention


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "xqda", "kissme"])
def test_a_checkpoint_is_evaluated_by_every_distance_of_the_paper(
    distance: str, run: Path, tmp_path: Path
) -> None:
    root = draw_market1501(tmp_path, people=24)
    where = ["--dataset", "market1501-val", "--root", str(root), "--device", "cpu"]
    answer = CliRunner().invoke(
        app, ["evaluate", str(run / "checkpoint.pt"), *where, "--distance", distance, "--json"]
    )
    assert answer.exit_code == 0, answer.output
    row = json.loads(answer.stdout)["results"][0]
    assert 0 <= row["rank1"] <= 100
    assert row["queries"] > 0


def test_the_attention_learns_which_cell_each_identity_hangs_on(run: Path) -> None:
    stage = AssignmentStage(_recipe())
    network = stage.network(8)
    network.load_state_dict(_weights(run, "baseline"), strict=False)
    store, _ = load_training_data(_recipe(), None, quiet=True)
    pictures = store.pictures.float()
    batch = Batch(pictures, store.identities, store.pictures, torch.arange(len(pictures)))
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=5e-3)
    fits = []
    for _ in range(20):
        step = stage.step(network.train(), batch)
        fits.append(step.parts["attention"].item())
        optimiser.zero_grad()
        step.total.backward()
        optimiser.step()
    assert fits[-1] < 0.3 * fits[0], fits

    with torch.no_grad():
        output = network(normalise(pictures), store.identities, "assignment")
        kept = network.train(False).embed(normalise(pictures)).attention
    occluded = (output.template != output.features).any(dim=1)
    in_cells = (1 - network.cells).flatten(1)  # [16, h·w]
    assert kept is not None
    means = kept.flatten(1) @ in_cells.T / in_cells.sum(dim=1)  # [N, 16]
    hardest = (occluded.flatten(1).float() @ in_cells.T).argmax(dim=1)
    assert len(set(hardest.tolist())) > 1
    assert means.argmin(dim=1).tolist() == hardest.tolist()
    assert float(means.amin(dim=1).mean()) < 0.7
    assert float(means.sort(dim=1).values[:, 1:].mean()) > 0.9


def test_every_stage_passes_the_gate_and_says_truly_what_it_gives(run: Path, tmp_path: Path) -> None:
    root = draw_partial_ilids(tmp_path, people=6)
    pixels = read_pixels(protocols.load("partial-ilids", root).query, 64, 32)
    for stage, attention in (("baseline", False), ("assignment", True), ("adversarial", True)):
        network, _ = load_network(run / stage / "checkpoint.pt")
        graph = BundleGraph(network)
        assert graph.outputs == (["embeddings", "attention"] if attention else ["embeddings"])
        session = gate.embedder_of(stage, graph, to_onnx(graph)).session
        largest, _ = gate.compare_batches(graph, session, pixels)
        assert largest <= 1e-4


def test_a_grid_finer_than_the_feature_map_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"4x2 positions.*aaa_net\.split"):
        fit(_recipe(aaa_net={"split": 3}), _options(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def _batch(step: int = 0) -> Batch:
    pictures = torch.zeros(4, 3, 64, 32)
    return Batch(pictures, torch.tensor([0, 0, 1, 1]), pictures, torch.arange(4), step=step)


def _head(logits: torch.Tensor) -> HeadOutput:
    return HeadOutput(torch.zeros(len(logits), 2), torch.zeros(len(logits), 2), logits)


class _Scripted(torch.nn.Module):
    """Answers what it was given, and remembers how it was asked."""

    def __init__(self, assignment: AssignmentOutput | None = None) -> None:
        super().__init__()
        self.asked: list[tuple[Any, ...]] = []
        self.assignment = assignment

    def forward(self, pictures: torch.Tensor, identities: torch.Tensor, *how: Any) -> Any:
        self.asked.append(how)
        if how[0] == "assignment":
            return self.assignment
        logits = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
        if how[0] == "whole":
            return _head(logits)
        opened = torch.tensor([True, False, True, False])
        return OccludedOutput(_head(logits), torch.ones(4), torch.zeros(4), opened, self.assignment)


def _assignment() -> AssignmentOutput:
    """f is 1 everywhere, half of it occluded in the template, and the attention keeps 0.5 of all."""
    features = torch.ones(4, 2, 2, 2)
    template = features.clone()
    template[:, :, 0] = 0.0
    return AssignmentOutput(features, 0.5 * features, template)


@pytest.mark.parametrize(("squared", "fit_loss"), [(True, 0.25), (False, 0.5)])
def test_occluded_samples_cost_equation_4_and_the_cross_entropy_where_the_gate_is_open(
    squared: bool, fit_loss: float
) -> None:
    own = {"regulariser": 0.3, "attention": 1.7, "gap": 0.04, "squared": squared}
    recipe = _recipe(losses={"triplet": 0.0}, aaa_net=own)
    network = _Scripted(_assignment())
    step = AdversarialStage(recipe).step(network, _batch(step=1))
    assert network.asked == [("occluded", 0.04)]
    regulariser = math.log(1 + math.exp(-0.5 * 4))  # of four positions
    each = math.log(2) + 0.3 * regulariser + 1.7 * fit_loss  # an open picture; two of four are open
    assert float(step.total) == pytest.approx(2 * each / 4, rel=1e-4)
    assert float(step.parts["opened"]) == 0.5
    assert float(step.parts["attention"]) == pytest.approx(fit_loss, rel=1e-4)


def test_whole_samples_cost_the_cross_entropy_of_all() -> None:
    step = AdversarialStage(_recipe(losses={"triplet": 0.0})).step(_Scripted(), _batch())
    each = [math.log(2), math.log(1 + math.exp(-2)), math.log(2), math.log(1 + math.exp(-1))]
    assert float(step.total) == pytest.approx(sum(each) / 4, rel=1e-4)


def test_the_assignment_costs_the_plain_sum_of_equation_1() -> None:
    step = AssignmentStage(_recipe()).step(_Scripted(_assignment()), _batch())
    assert float(step.total) == pytest.approx(0.25 + math.log(1 + math.exp(-0.5 * 4)), rel=1e-4)


def test_whole_and_occluded_samples_take_turns() -> None:
    for turn, wanted in ((1, "wowowo"), (2, "wwooww")):
        stage = AdversarialStage(_recipe(losses={"triplet": 0.0}, aaa_net={"turn": turn}))
        network = _Scripted(_assignment())
        for number in range(6):
            stage.step(network, _batch(step=number))
        assert "".join(how[0][0] for how in network.asked) == wanted


@pytest.mark.parametrize("number", [0, 1])
def test_every_weight_that_is_used_is_trained_in_mixed_precision(number: int) -> None:
    stage = AdversarialStage(_recipe(losses={"triplet": 0.0}))
    network = stage.network(8).train()
    batch = replace(_batch(step=number), pictures=255 * torch.rand(4, 3, 64, 32))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        step = stage.step(network, batch)
    step.total.backward()
    assert math.isfinite(step.total.item())
    for name, value in network.named_parameters():
        assert value.grad is not None or not value.requires_grad, name


def test_an_assignment_in_mixed_precision_trains_the_attention() -> None:
    stage = AssignmentStage(_recipe())
    network = stage.network(8).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        step = stage.step(network, replace(_batch(), pictures=255 * torch.rand(4, 3, 64, 32)))
    step.total.backward()
    assert math.isfinite(step.total.item())
    assert all(value.grad is not None for value in network.parameters() if value.requires_grad)


def test_the_recipe_has_the_papers_settings() -> None:
    recipe = load_recipe(RECIPES / "aaa-net.toml")
    assert (recipe.model.backbone, recipe.model.height, recipe.model.width) == ("resnet50", 224, 224)
    assert (recipe.model.head, recipe.model.dropout, recipe.losses.triplet) == ("plain", 0.5, 0)
    own = recipe.aaa_net
    assert (own.split, own.cells, own.regulariser, own.attention, own.gap) == (2, 4, 0.3, 1.7, 0.04)
    assert own.hidden == pytest.approx(1 / 3)
    assert recipe.stage_names == ("baseline", "assignment", "adversarial")
    for stage, kind, rate, every in (
        ("baseline", "sgd", 1e-3, 2),
        ("assignment", "adam", 1e-4, 3),
        ("adversarial", "sgd", 1e-4, 3),
    ):
        here = recipe.at(stage)
        assert (here.epochs, here.optimiser.kind, here.optimiser.rate) == (10, kind, rate)
        assert here.optimiser.milestones == tuple(range(every, 10, every))
