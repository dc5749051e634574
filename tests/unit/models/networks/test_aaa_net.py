from __future__ import annotations

import pytest
import torch
from torch import nn

from models.networks.aaa_net import AAANet, AssignmentOutput, OccludedOutput, Turn, cell_masks, hide_highest
from models.networks.heads import HeadOutput

HEIGHT, WIDTH, PEOPLE = 64, 32, 5


def _network(**changes: object) -> AAANet:
    torch.manual_seed(0)
    values: dict[str, object] = {"dimension": 24, **changes}
    return AAANet("osnet_x0_25", PEOPLE, HEIGHT, WIDTH, **values)  # type: ignore[arg-type]


def _batch(count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, HEIGHT, WIDTH, generator=generator), torch.arange(count) % PEOPLE


def test_sixteen_cells_hide_each_position_once() -> None:
    masks = cell_masks(8, 4, 4)
    assert masks.shape == (16, 1, 8, 4)
    assert torch.equal((1 - masks).sum(dim=0), torch.ones(1, 8, 4))
    expected = torch.ones(8, 4)
    expected[2:4, 3] = 0.0
    assert torch.equal(masks[7, 0], expected)  # second row of cells, last column


@pytest.mark.parametrize(("height", "width"), [(28, 28), (7, 7), (4, 5), (16, 9)])
def test_cells_that_do_not_divide_the_map_differ_by_one_position(height: int, width: int) -> None:
    hidden = 1 - cell_masks(height, width, 4)
    assert torch.equal(hidden.sum(dim=0), torch.ones(1, height, width))
    for side, length in ((2, height), (3, width)):
        sizes = hidden.amax(dim=5 - side).sum(dim=2).flatten()
        assert {int(size) for size in sizes} <= {length // 4, -(-length // 4)}


def test_a_map_smaller_than_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="4x2 positions cannot be divided into 4x4 cells"):
        _network(split=3)


def test_the_mask_hides_exactly_the_stated_share_at_the_highest_values() -> None:
    values = torch.arange(12.0).view(1, 1, 4, 3).repeat(2, 1, 1, 1)
    values[1] *= -1
    mask = hide_highest(values, 1 / 3)
    assert torch.equal(mask[0].flatten(), torch.tensor([1.0] * 8 + [0.0] * 4))
    assert torch.equal(mask[1].flatten(), torch.tensor([0.0] * 4 + [1.0] * 8))
    assert int((1 - hide_highest(values, 0.001)).sum()) == 2
    assert int(hide_highest(values, 0.999).sum()) == 2


def test_the_template_is_the_brute_force_hardest_of_sixteen() -> None:
    network = _network().eval()
    nn.init.normal_(network.head.classifier.weight, std=1.0)
    pictures, identities = _batch(3)
    with torch.no_grad():
        features = network.backbone.stages[1](network.backbone.stages[0](pictures))
        for row, identity in enumerate(identities.tolist()):
            candidates = []
            for top in range(0, 8, 2):
                for left in range(4):
                    occluded = features[row : row + 1].clone()
                    occluded[:, :, top : top + 2, left] = 0.0
                    rest = network.backbone.stages[3](network.backbone.stages[2](occluded))
                    probability = network.head(rest).logits.softmax(dim=1)[0, identity]
                    candidates.append((float(probability), occluded))
            assert len({round(p, 7) for p, _ in candidates}) > 1
            lowest = min(candidates, key=lambda candidate: candidate[0])[1]
            found = network.hardest(features[row : row + 1], identities[row : row + 1])
            torch.testing.assert_close(found, lowest, rtol=0, atol=0)


def test_the_template_is_found_in_evaluation_mode_and_leaves_the_network_as_it_was() -> None:
    network = _network(dropout=0.5).train()
    identities = torch.arange(4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    features = torch.rand(4, 64, 8, 4)
    first = network.hardest(features, identities)
    assert torch.equal(network.hardest(features, identities), first)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_frozen_layers_get_no_gradient_and_keep_their_statistics() -> None:
    network = _network(frozen=True, dropout=0.5).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    output = network(*_batch(), "assignment")
    assert isinstance(output, AssignmentOutput)
    assert not output.features.requires_grad
    assert not output.template.requires_grad
    (output.attended - output.template).abs().sum().backward()
    touched = {name.split(".")[0] for name, value in network.named_parameters() if value.grad is not None}
    trained = {name.split(".")[0] for name, value in network.named_parameters() if value.requires_grad}
    assert touched == trained == {"attention"}
    for name, value in network.state_dict().items():
        moves = name.startswith("attention.") and ("running" in name or "tracked" in name)
        assert torch.equal(value, before[name]) != moves, name


def test_every_layer_of_the_attention_is_trained_from_its_first_value() -> None:
    network = _network(frozen=True).train()
    output = network(*_batch(), "assignment")
    torch.testing.assert_close(output.attended, output.features, rtol=0.2, atol=0.05)
    (output.attended.clamp_min(0) - output.template).abs().sum().backward()
    assert network.attention is not None
    for name, value in network.attention.named_parameters():
        assert value.grad is not None, name
        assert float(value.grad.abs().max()) > 0.0, name


def test_equation_4_reaches_the_attention_alone_and_the_cross_entropy_all_else() -> None:
    network = _network().train()
    pictures, identities = _batch()
    output = network(pictures, identities, "occluded", -1.0)
    assert isinstance(output, OccludedOutput)
    assert output.assignment is not None
    (output.assignment.attended - output.assignment.template).abs().sum().backward(retain_graph=True)
    touched = {name.split(".")[0] for name, value in network.named_parameters() if value.grad is not None}
    assert touched == {"attention"}
    network.zero_grad()
    output.head.logits.logsumexp(dim=1).sum().backward()
    touched = {name.split(".")[0] for name, value in network.named_parameters() if value.grad is not None}
    assert touched == {"backbone", "head"}


def test_the_gate_opens_where_occluding_costs_more_than_the_gap_and_only_there_are_templates() -> None:
    network = _network().train()
    nn.init.normal_(network.head.classifier.weight, std=1.0)
    pictures, identities = _batch(8)
    output = network(pictures, identities, "occluded", -1.0)
    assert bool(output.opened.all())
    cost = output.before - output.after
    middle = float(cost.sort().values[3:5].mean())
    output = network(pictures, identities, "occluded", middle)
    assert torch.equal(output.opened, cost > middle)
    assert int(output.opened.sum()) == 4
    given = output.assignment.template.flatten(1).abs().sum(dim=1) > 0
    assert torch.equal(given, output.opened)
    assert not bool(network(pictures, identities, "occluded", 1.0).opened.any())


def test_a_third_of_the_highest_responses_is_hidden_without_an_attention() -> None:
    network = _network(learnt=False).train()
    seen: list[torch.Tensor] = []
    network.backbone.stages[2].register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].detach()))
    output = network(*_batch(), "occluded", -1.0)
    assert output.assignment is None
    assert network.attention is None
    occluded, whole = seen[:2]
    hidden = (occluded == 0).all(dim=1) & (whole != 0).any(dim=1)
    response = whole.mean(dim=1)
    for row in range(len(whole)):
        assert int(hidden[row].sum()) == round(8 * 4 / 3)
        assert float(response[row][hidden[row]].min()) >= float(response[row][~hidden[row]].max())


def test_the_highest_attended_responses_are_hidden_and_the_others_weighed() -> None:
    """§3.3: f × attention × mask, the mask from f × attention."""
    network = _network(hidden=0.25).train()
    assert network.attention is not None
    nn.init.normal_(network.attention.layers[-1].weight, std=0.3)  # type: ignore[arg-type]  # a convolution's
    seen: list[torch.Tensor] = []
    network.backbone.stages[2].register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].detach()))
    weights: list[torch.Tensor] = []
    network.attention.register_forward_hook(lambda _m, _i, output: weights.append(output.detach()))
    network(*_batch(), "occluded", 1.0)
    occluded, whole = seen[:2]
    kept = weights[0].clamp_min(0.0)
    assert float(kept.std()) > 0.1
    response = (kept * whole).mean(dim=1).flatten(1)
    highest = torch.zeros_like(response).scatter_(1, response.topk(8, dim=1).indices, 1.0).view(4, 1, 8, 4)
    torch.testing.assert_close(occluded, whole * kept * (1 - highest))


def test_only_whole_feature_maps_move_the_statistics_behind_the_occlusion() -> None:
    network = _network().train()
    pictures, identities = _batch()

    def statistics() -> dict[str, torch.Tensor]:
        kept = network.state_dict().items()
        return {name: value.clone() for name, value in kept if "running" in name and "attention" not in name}

    before = statistics()
    network(pictures, identities, "occluded", -1.0)
    after = statistics()
    behind = ("backbone.stages.2", "backbone.stages.3", "head")
    for name, value in before.items():
        assert torch.equal(value, after[name]) == name.startswith(behind), name
    network(pictures, identities, "whole")
    assert all(not torch.equal(value, after[name]) for name, value in statistics().items())


@pytest.mark.parametrize("split", [1, 2])
def test_whole_feature_maps_are_compared_and_the_attention_is_told(split: int) -> None:
    network = _network(split=split).eval()
    pictures, identities = _batch(3)
    answer = network.embed(pictures)
    head = network(pictures, identities, "whole")
    torch.testing.assert_close(answer.embeddings, nn.functional.normalize(head.embedding))
    assert answer.attention is not None
    stride = network.backbone.strides[split - 1]
    assert answer.attention.shape == (3, HEIGHT // stride, WIDTH // stride)
    assert bool(((answer.attention >= 0) & (answer.attention <= 1)).all())
    assert network.has_attention
    assert not _network(learnt=False).has_attention
    assert _network(learnt=False).embed(pictures).attention is None


@pytest.mark.parametrize("backbone", ["resnet50", "osnet_x0_5"])
def test_either_family_of_backbones_takes_all_three_turns(backbone: str) -> None:
    network = AAANet(backbone, PEOPLE, HEIGHT, WIDTH, cells=2, split=4, head="plain", dropout=0.5).train()
    pictures, identities = _batch(2)
    turns: tuple[Turn, ...] = ("assignment", "whole", "occluded")
    kinds = [type(network(pictures, identities, turn)) for turn in turns]
    assert kinds == [AssignmentOutput, HeadOutput, OccludedOutput]
