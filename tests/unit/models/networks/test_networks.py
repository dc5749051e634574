from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import resnet50

from models.networks.attention.rga import SpatialRelationAttention
from models.networks.backbones import BACKBONES, ResNet50, build_backbone
from models.networks.baseline import Baseline
from models.networks.heads import build_head
from models.networks.normalisation import hide, normalise
from models.networks.oamn import OAMN
from models.occlusion import NAMES, rectangle


@pytest.mark.parametrize("name", BACKBONES)
def test_every_stage_has_the_stated_channels_and_stride(name: str) -> None:
    backbone = build_backbone(name).eval()
    features = torch.zeros(1, 3, 64, 32)
    for stage, channels, stride in zip(backbone.stages, backbone.channels, backbone.strides, strict=True):
        features = stage(features)
        assert features.shape == (1, channels, 64 // stride, 32 // stride)


def test_imagenet_weights_reach_every_layer(tmp_path: Path) -> None:
    torch.manual_seed(3)
    reference = resnet50(weights=None)
    torch.save(reference.state_dict(), tmp_path / "resnet50.pth")
    backbone = ResNet50().eval()
    backbone.load_imagenet(tmp_path / "resnet50.pth")
    reference.layer4[0].conv2.stride = (1, 1)
    reference.layer4[0].downsample[0].stride = (1, 1)
    reference.eval()
    picture = torch.randn(1, 3, 64, 32)
    stem = reference.maxpool(reference.relu(reference.bn1(reference.conv1(picture))))
    expected = reference.layer4(reference.layer3(reference.layer2(reference.layer1(stem))))
    torch.testing.assert_close(backbone(picture), expected)


def test_a_file_that_is_no_resnet50_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="not a torchvision ResNet-50"):
        ResNet50().load_imagenet(tmp_path / "other.pth")


def test_rga_relations_are_read_in_both_directions() -> None:
    """A position's weight uses what it is to others and what others are to it, not one of them twice."""
    torch.manual_seed(0)
    attention = SpatialRelationAttention(16, 4, 2, reduction=2).eval()
    features = torch.rand(1, 16, 4, 2)
    theta = attention.theta(features).flatten(2)[0]
    phi = attention.phi(features).flatten(2)[0]
    seen: list[torch.Tensor] = []
    attention.relation.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    mask = attention(features)
    stacked = seen[0].flatten(2)[0]
    for i in range(8):
        for j in range(8):
            torch.testing.assert_close(stacked[j, i], theta[:, i] @ phi[:, j])
            torch.testing.assert_close(stacked[8 + j, i], theta[:, j] @ phi[:, i])
    assert mask.shape == (1, 1, 4, 2)
    assert bool(((mask >= 0) & (mask <= 1)).all())


def test_rga_refuses_another_size() -> None:
    with pytest.raises(ValueError, match="positions"):
        SpatialRelationAttention(8, 4, 2)(torch.zeros(1, 8, 8, 4))


@pytest.mark.parametrize("split", [1, 2, 3, 4])
def test_oamn_embeds_after_any_stage(split: int) -> None:
    network = OAMN("osnet_x0_25", 5, 64, 32, dimension=24, split=split).eval()
    answer = network.embed(torch.randn(3, 3, 64, 32))
    torch.testing.assert_close(answer.embeddings.norm(dim=1), torch.ones(3))
    assert answer.embeddings.shape == (3, 24)
    assert answer.grades is not None
    assert answer.attention is not None
    torch.testing.assert_close(answer.grades.sum(dim=1), torch.ones(3))
    stride = network.backbone.strides[split - 1]
    assert answer.attention.shape == (3, 64 // stride, 32 // stride)


def test_no_gradient_flows_from_the_grader_into_the_encoder() -> None:
    network = OAMN("osnet_x0_25", 5, 64, 32).train()
    network(torch.randn(4, 3, 64, 32)).grades[:, 0].sum().backward()
    touched = {name.split(".")[0] for name, value in network.named_parameters() if value.grad is not None}
    assert touched == {"grader"}


def test_training_and_embedding_agree_on_the_representation() -> None:
    network = OAMN("osnet_x0_25", 5, 64, 32).eval()
    pictures = torch.randn(2, 3, 64, 32)
    output, answer = network(pictures), network.embed(pictures)
    torch.testing.assert_close(torch.nn.functional.normalize(output.head.embedding), answer.embeddings)
    torch.testing.assert_close(output.grades, answer.grades)
    torch.testing.assert_close(output.masked, output.mask * output.features)


def test_the_plain_head_compares_what_it_pools_and_drops_channels_in_training_alone() -> None:
    head = build_head("plain", 6, 4, dropout=0.5)
    features = torch.rand(3, 6, 4, 2) + 0.1
    pooled = features.mean(dim=(2, 3))
    head.eval()
    output = head(features)
    torch.testing.assert_close(output.embedding, pooled)
    torch.testing.assert_close(output.logits, head.classifier(pooled))
    torch.testing.assert_close(head.embed(features), torch.nn.functional.normalize(pooled))
    torch.manual_seed(0)
    assert not torch.equal(head.train()(features).logits, output.logits)
    assert torch.equal(head(features).embedding, output.embedding)


def test_baseline_has_neither_grades_nor_attention() -> None:
    answer = Baseline("osnet_x0_25", 5, 64, 32).eval().embed(torch.randn(2, 3, 64, 32))
    assert answer.grades is None
    assert answer.attention is None


def test_hidden_pixels_are_zero_and_all_others_untouched() -> None:
    pictures = normalise(torch.randint(0, 256, (9, 3, 16, 8), dtype=torch.uint8))
    hidden = hide(pictures, torch.arange(9))
    for code in range(len(NAMES)):
        top, left, bottom, right = rectangle(code, 16, 8)
        expected = pictures[code].clone()
        expected[:, top:bottom, left:right] = 0.0
        torch.testing.assert_close(hidden[code], expected)
