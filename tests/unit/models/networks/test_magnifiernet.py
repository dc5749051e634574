from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from models.networks.magnifiernet import ConcatenatedParts, FusedParts, MagnifierNet

_CHANNELS = 96  # of OSNet x0.25 after stage 3


def _network(**changes: object) -> MagnifierNet:
    torch.manual_seed(0)
    network = MagnifierNet("osnet_x0_25", 5, 64, 32, 7, 24, _CHANNELS, **changes)  # type: ignore[arg-type]
    return network.eval()


def _features(network: MagnifierNet, pictures: torch.Tensor) -> torch.Tensor:
    for stage in network.backbone.stages[: network.split]:
        pictures = stage(pictures)
    return pictures


def _rescaled(labels: torch.Tensor) -> torch.Tensor:
    """Binary masks of all 8 regions, bilinearly to 4 × 2."""
    binary = functional.one_hot(labels.long(), 8).permute(0, 3, 1, 2).float()
    return functional.interpolate(binary, (4, 2), mode="bilinear", align_corners=False)


@pytest.fixture
def pictures() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 3, 64, 32)


@pytest.fixture
def labels() -> torch.Tensor:
    torch.manual_seed(2)
    return torch.randint(0, 8, (3, 64, 32), dtype=torch.uint8)


@torch.no_grad()
def test_eq_1_pools_each_part_under_its_rescaled_mask(pictures: torch.Tensor, labels: torch.Tensor) -> None:
    network = _network()
    features, masks = _features(network, pictures), _rescaled(labels)
    parts = network(pictures, labels).parts
    assert parts is not None
    for part in range(7):
        expected = (features * masks[:, 1 + part, None]).flatten(2).max(dim=2).values
        torch.testing.assert_close(parts[:, part], expected)


@torch.no_grad()
@pytest.mark.parametrize("background", [True, False])
def test_eq_2_zeroes_the_regions_that_are_not_kept(
    background: bool, pictures: torch.Tensor, labels: torch.Tensor
) -> None:
    network = _network(background=background)
    features, masks = _features(network, pictures), _rescaled(labels)
    kept = torch.tensor([True, False, False, True, False, True, True])
    answer = network(pictures, labels, kept).adversarial
    assert answer is not None
    for rows, regions in (
        (answer.representation[:3], [1, 2, 3, 4, 5, 6, 7]),
        (answer.representation[3:], [1, 4, 6, 7]),
    ):
        chosen = [0, *regions] if background else regions
        aligned = features[:, None] * masks[:, chosen, None]
        torch.testing.assert_close(rows, aligned.sum(dim=1).flatten(2).max(dim=2).values)


@torch.no_grad()
def test_what_the_labels_leave_open_takes_the_predicted_masks(
    pictures: torch.Tensor, labels: torch.Tensor
) -> None:
    network = _network()
    nothing_known = network(pictures, torch.full_like(labels, 255)).parts
    predicted = network(pictures).parts
    torch.testing.assert_close(nothing_known, predicted)
    ignoring = _network(from_labels=False)
    torch.testing.assert_close(ignoring(pictures, labels).parts, ignoring(pictures).parts)
    assert not torch.allclose(network(pictures, labels).parts, predicted)


@torch.no_grad()
def test_all_branches_stand_side_by_side_at_unit_length(pictures: torch.Tensor) -> None:
    network = _network()
    answer, output = network.embed(pictures), network(pictures)
    branches = (output.head.embedding, output.adversarial.embedding[:3], output.fusion.embedding)
    expected = functional.normalize(torch.cat(branches, dim=1))
    torch.testing.assert_close(answer.embeddings, expected)
    assert answer.embeddings.shape == (3, network.dimension) == (3, 24 + 2 * _CHANNELS)
    assert answer.attention is not None
    assert answer.attention.shape == (3, 4, 2)
    assert bool(((answer.attention >= 0) & (answer.attention <= 1)).all())


def test_each_component_can_be_left_out(pictures: torch.Tensor) -> None:
    dimensions = {
        (True, True, "gru"): 24 + 2 * _CHANNELS,
        (True, True, "concatenation"): 24 + 2 * _CHANNELS,
        (True, True, "none"): 24 + _CHANNELS,
        (True, False, "gru"): 24 + _CHANNELS,
        (True, False, "none"): 24,
        (False, False, "none"): 24,
    }
    for (masks, adversarial, fusion), dimension in dimensions.items():
        network = _network(masks=masks, adversarial=adversarial, fusion=fusion)
        answer = network.embed(pictures)
        assert answer.embeddings.shape == (3, dimension) == (3, network.dimension)
        assert (answer.attention is not None) == masks == network.has_attention


def test_the_identity_losses_do_not_move_the_masks_but_the_backbone(
    pictures: torch.Tensor, labels: torch.Tensor
) -> None:
    network = _network()
    output = network(pictures, torch.full_like(labels, 255), torch.ones(7, dtype=torch.bool))
    (output.adversarial.representation.sum() + output.parts.sum()).backward()
    assert all(value.grad is None for value in network.mask_module.parameters())
    assert network.backbone.stages[0][0][0].weight.grad is not None
    output = network(pictures)
    output.segmentation.square().sum().backward()
    assert all(value.grad is not None for value in network.mask_module.parameters())


@torch.no_grad()
def test_the_gru_reads_the_parts_in_order() -> None:
    torch.manual_seed(0)
    fuse = FusedParts(6, 4)
    parts = torch.randn(2, 7, 6)
    cell = torch.nn.GRUCell(6, 4)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in fuse.gru.state_dict().items()})
    state = torch.zeros(2, 4)
    for part in parts.unbind(1):
        state = cell(part, state)
    torch.testing.assert_close(fuse(parts), state)
    assert not torch.allclose(fuse(parts.flip(1)), state)


def test_the_ablation_has_the_same_dimension_as_the_fusion() -> None:
    for dimension in (14, 24, 512):
        assert ConcatenatedParts(6, dimension, 7)(torch.randn(2, 7, 6)).shape == (2, dimension)


@pytest.mark.parametrize(("backbone", "split"), [("resnet50", 3), ("osnet_x0_5", 4), ("osnet_x0_25", 2)])
def test_other_backbones_and_splits_train_and_embed(backbone: str, split: int) -> None:
    network = MagnifierNet(backbone, 5, 32, 32, 7, None, 16, split)
    output = network(torch.randn(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.uint8))
    side = 2 * 32 // network.backbone.strides[split - 1]
    assert output.segmentation.shape == (2, 8, side, side)
    answer = network.eval().embed(torch.randn(2, 3, 32, 32))
    assert answer.embeddings.shape == (2, network.backbone.channels[-1] + 32)
