from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.networks.backbones import build_backbone
from models.networks.graded import Graded
from models.networks.heads import BNNeck, GroupedClassifier
from models.networks.single_scale import SingleScale

HEIGHT, WIDTH, PEOPLE, D = 64, 32, 5, 24


def _network(backbone: str = "osnet_x0_25", **changes: Any) -> SingleScale:
    torch.manual_seed(0)
    network = SingleScale(backbone, PEOPLE, HEIGHT, WIDTH, D, **changes)
    for block in network.attention:
        nn.init.normal_(block.value.weight, std=0.1)  # type: ignore[arg-type, union-attr]
    return network


@pytest.mark.parametrize("backbone", ["osnet_x0_25", "resnet50"])
def test_two_blocks_attend_at_stride_8_and_three_at_stride_16(backbone: str) -> None:
    network = _network(backbone).eval()
    shapes: list[tuple[int, ...]] = []
    for block in network.attention:
        block.register_forward_pre_hook(lambda _block, inputs: shapes.append(tuple(inputs[0].shape[2:])))
    network.embed(torch.randn(1, 3, HEIGHT, WIDTH))
    assert shapes == 2 * [(HEIGHT // 8, WIDTH // 8)] + 3 * [(HEIGHT // 16, WIDTH // 16)]


def test_the_backbone_keeps_the_names_of_its_weights() -> None:
    own = {name for name in _network().state_dict() if name.startswith("backbone.")}
    assert own == {f"backbone.{name}" for name in build_backbone("osnet_x0_25").state_dict()}


def test_blocks_of_a_copied_network_are_its_own() -> None:
    network = _network().eval()
    pictures = torch.randn(2, 3, HEIGHT, WIDTH)
    before = network.backbone(pictures)
    copied = copy.deepcopy(network)
    nn.init.normal_(copied.attention[0].value.weight)  # type: ignore[arg-type, union-attr]
    assert torch.equal(network.backbone(pictures), before)
    assert not torch.allclose(copied.backbone(pictures), before)


def test_a_grader_on_the_network_sees_what_its_blocks_answer() -> None:
    graded = Graded(_network(), split=3).eval()
    pictures = torch.randn(2, 3, HEIGHT, WIDTH)
    grades = graded.embed(pictures).grades
    assert grades is not None
    torch.testing.assert_close(graded(pictures), grades)


def test_the_mean_feature_follows_equation_6() -> None:
    network = _network(momentum=0.75).train()
    expected = torch.zeros(D, dtype=torch.float64)
    for number in range(3):
        pictures = torch.randn(6, 3, HEIGHT, WIDTH) + number
        z = network(pictures).head.representation.detach().double()
        batch = sum(row / row.norm() for row in z) / len(z)
        expected = 0.75 * expected + 0.25 * batch
        torch.testing.assert_close(network.mean_feature.double(), expected, atol=1e-6, rtol=1e-5)
    network.eval()(pictures)
    network.embed(pictures)
    torch.testing.assert_close(network.mean_feature.double(), expected, atol=1e-6, rtol=1e-5)


def test_the_mean_feature_is_subtracted_from_the_normalised_global_feature() -> None:
    network = _network().train()
    for _ in range(3):
        network(torch.randn(6, 3, HEIGHT, WIDTH))
    network.eval()
    pictures = torch.randn(3, 3, HEIGHT, WIDTH)
    z = functional.normalize(network(pictures).head.representation)
    difference = z - network.mean_feature
    found = network.embed(pictures).embeddings
    torch.testing.assert_close(found, difference / difference.norm(dim=1, keepdim=True))
    assert float(network.mean_feature.norm()) > 0.05


def test_without_momentum_elimination_the_neck_embeds_and_the_mean_stays_zero() -> None:
    network = _network(momentum=None).train()
    network(torch.randn(6, 3, HEIGHT, WIDTH))
    assert not network.mean_feature.any()
    network.eval()
    pictures = torch.randn(3, 3, HEIGHT, WIDTH)
    expected = functional.normalize(network(pictures).head.embedding)
    torch.testing.assert_close(network.embed(pictures).embeddings, expected)


def test_the_reconstructed_feature_is_for_training_only() -> None:
    network = _network().eval()
    pictures = torch.randn(2, 3, HEIGHT, WIDTH)
    before = network.embed(pictures).embeddings
    assert network.reconstructed is not None
    for parameter in network.reconstructed.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(network.embed(pictures).embeddings, before)
    assert not network(pictures).reconstructed.representation.any()
    assert _network(reconstructive=False)(pictures).reconstructed is None


def test_both_features_send_their_gradients_into_the_blocks() -> None:
    for feature in ("head", "reconstructed"):
        network = _network().train()
        output = network(torch.randn(4, 3, HEIGHT, WIDTH))
        getattr(output, feature).logits.square().sum().backward()
        for block in network.attention:
            assert all(bool(parameter.grad.any()) for parameter in block.parameters())  # type: ignore[union-attr]


@pytest.mark.parametrize(("kind", "blocks", "maps"), [("none", 0, False), ("non-local", 5, False)])
def test_attention_is_given_by_disentangled_blocks_only(kind: Any, blocks: int, maps: bool) -> None:
    network = _network(attention=kind).eval()
    assert (len(network.attention), network.has_attention) == (blocks, maps)
    assert network.embed(torch.randn(2, 3, HEIGHT, WIDTH)).attention is None


def test_attention_is_the_last_blocks_saliency_scaled_to_its_largest() -> None:
    network = _network().eval()
    seen: list[torch.Tensor] = []
    network.attention[-1].register_forward_pre_hook(lambda _block, inputs: seen.append(inputs[0]))
    attention = network.embed(torch.randn(2, 3, HEIGHT, WIDTH)).attention
    assert attention is not None
    saliency = network.attention[-1].saliency(seen[0]).unflatten(1, (4, 2))  # type: ignore[operator]
    torch.testing.assert_close(attention, saliency / saliency.amax(dim=(1, 2), keepdim=True))
    assert attention.amax(dim=(1, 2)).tolist() == [1.0, 1.0]


def test_each_head_classifies_from_its_own_channels() -> None:
    torch.manual_seed(0)
    classifier = GroupedClassifier(6, PEOPLE, heads=2)
    embedding = torch.randn(3, 6, requires_grad=True)
    logits = classifier(embedding)
    assert logits.shape == (3, 2, PEOPLE)
    expected = embedding[:, 3:] @ classifier.weight[1].T
    torch.testing.assert_close(logits[:, 1], expected)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), embedding)
    assert gradient[:, :3].any()
    assert not gradient[:, 3:].any()
    with pytest.raises(ValueError, match="do not divide among 4"):
        BNNeck(6, PEOPLE, heads=4)
