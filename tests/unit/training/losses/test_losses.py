from __future__ import annotations

import pytest
import torch

from training.losses.grading import grading
from training.losses.grouped_triplet import grouped_triplet
from training.losses.mask_consistency import mask_completeness, mask_invariance
from training.losses.triplet import batch_hard_triplet


def test_triplet_takes_the_farthest_positive_and_the_nearest_negative() -> None:
    points = torch.tensor([[0.0], [1.0], [3.0], [10.0]])
    identities = torch.tensor([0, 0, 1, 1])
    # squared distances: anchors 0..3 have (p, n) = (1, 9), (1, 4), (49, 4), (49, 81)
    expected = (0.0 + 0.0 + 45.5 + 0.0) / 4
    torch.testing.assert_close(batch_hard_triplet(points, identities, 0.5), torch.tensor(expected))
    expected = (0.0 + 0.0 + (7 - 2 + 0.5) + 0.0) / 4
    loss = batch_hard_triplet(points, identities, 0.5, squared=False)
    torch.testing.assert_close(loss, torch.tensor(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("identities", [[0, 0, 0, 0], [0, 0, 1, 2]])
def test_triplet_refuses_a_batch_without_a_pair_or_a_stranger(identities: list[int]) -> None:
    with pytest.raises(ValueError, match="triplet loss"):
        batch_hard_triplet(torch.randn(4, 3), torch.tensor(identities), 0.5)


def test_grouped_triplet_never_mixes_groups() -> None:
    """Groups far apart from each other, each of them perfectly separated: nothing is left to pull."""
    identities = torch.tensor([0, 0, 1, 1])
    group = torch.tensor([[0.0, 0.0], [0.0, 0.1], [5.0, 0.0], [5.0, 0.1]])
    shift = torch.tensor([1000.0, -1000.0])
    groups = torch.stack([group + number * shift for number in range(5)])
    assert float(grouped_triplet(groups, identities, 0.5)) == 0.0
    mixed = batch_hard_triplet(groups.flatten(0, 1), identities.repeat(5), 0.5)
    assert float(mixed) > 1e5


def test_grouped_triplet_is_the_mean_over_groups() -> None:
    torch.manual_seed(0)
    groups, identities = torch.randn(5, 6, 3), torch.tensor([0, 0, 1, 1, 2, 2])
    each = [float(batch_hard_triplet(group, identities, 0.5)) for group in groups]
    assert float(grouped_triplet(groups, identities, 0.5)) == pytest.approx(sum(each) / 5)


def test_mask_invariance_equals_equation_2_worked_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0]]]])  # [1, 1, 1, 2]
    occluded = torch.tensor([0.0, 0.0]).expand(4, 1, 1, 1, 2)
    masks = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.0, 0.0]]).view(4, 1, 1, 1, 2)
    # per place: mean of ((1·m0)², (2·m1)²) = 0.5, 2, (0.25 + 1) / 2, 0
    assert float(mask_invariance(features, occluded, masks)) == pytest.approx(0.5 + 2.0 + 0.625)


def test_mask_completeness_is_zero_where_opposite_halves_add_up() -> None:
    whole = torch.rand(3, 2, 4, 4)
    top = whole.clone()
    top[:, :, :2] = 0.0
    left = whole.clone()
    left[:, :, :, :2] = 0.0
    occluded = torch.stack((top, whole - top, left, whole - left))
    half = torch.tensor([True, True, True])
    assert float(mask_completeness(whole, occluded, half)) == pytest.approx(0.0, abs=1e-10)
    swapped = occluded[[0, 2, 1, 3]]
    assert float(mask_completeness(whole, swapped, half)) > 0.01


def test_mask_completeness_looks_at_half_hidden_pictures_only() -> None:
    whole, occluded = torch.rand(2, 1, 2, 2), torch.zeros(4, 2, 1, 2, 2)
    only_second = mask_completeness(whole, occluded, torch.tensor([False, True]))
    assert float(only_second) == pytest.approx(2 * float(whole[1].square().mean()))
    assert float(mask_completeness(whole, occluded, torch.tensor([False, False]))) == 0.0


def test_grading_is_the_squared_norm_averaged_over_pictures() -> None:
    scores = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    targets = torch.tensor([[0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert float(grading(scores, targets)) == pytest.approx((0.25 + 0.25) / 2)


def test_relative_mask_losses_do_not_fall_when_features_or_masks_shrink() -> None:
    torch.manual_seed(0)
    features, occluded = torch.rand(2, 3, 4, 4), torch.rand(4, 2, 3, 4, 4)
    masks, half = torch.rand(4, 2, 1, 4, 4), torch.tensor([True, True])
    for relative in (True, False):
        full = mask_invariance(features, occluded, masks, relative)
        shrunk = mask_invariance(0.1 * features, 0.1 * occluded, 0.5 * masks, relative)
        sums = mask_completeness(features, occluded, half, relative)
        shrunk_sums = mask_completeness(0.1 * features, 0.1 * occluded, half, relative)
        if relative:
            torch.testing.assert_close(shrunk, full, rtol=1e-2, atol=0)
            torch.testing.assert_close(shrunk_sums, sums, rtol=1e-2, atol=0)
        else:
            assert float(shrunk) < 0.01 * float(full)
            assert float(shrunk_sums) < 0.02 * float(sums)
