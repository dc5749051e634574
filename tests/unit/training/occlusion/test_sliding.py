from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.networks.normalisation import normalise
from training.occlusion.sliding import SlidingMask, cover_squares


def test_the_papers_mask_has_the_papers_sizes_and_number_of_positions() -> None:
    """28 × 28 is 0.025 of 256 × 128 (§4.4), 64 × 64 an eighth of it (fig. 3)."""
    sides = [SlidingMask.of_area(area, 256, 128, 10).side for area in (0.025, 0.1, 0.125, 0.5)]
    assert sides == [28, 57, 64, 128]
    mask = SlidingMask.of_area(0.1, 256, 128, 10)
    assert (mask.rows, mask.columns, mask.positions) == (20, 8, 160)  # ⌊199/10⌋ + 1, ⌊71/10⌋ + 1


@settings(max_examples=40, deadline=None)
@given(height=st.integers(8, 60), width=st.integers(8, 60), side=st.integers(1, 8), stride=st.integers(1, 11))
def test_positions_are_all_that_a_loop_over_strides_finds(
    height: int, width: int, side: int, stride: int
) -> None:
    mask = SlidingMask(height, width, side, stride)
    expected = [
        [top, left]
        for top in range(0, height - side + 1, stride)
        for left in range(0, width - side + 1, stride)
    ]
    assert mask.corners(torch.arange(mask.positions)).tolist() == expected


def test_exactly_the_square_is_zero_after_normalisation() -> None:
    mask = SlidingMask(32, 16, 5, 3)
    pictures = torch.randint(0, 256, (3, 3, 32, 16), dtype=torch.uint8)
    corners = torch.tensor([[0, 0], [7, 4], [27, 11]])
    shown = normalise(cover_squares(pictures, mask.covered(corners)))
    expected = normalise(pictures)
    for row, (top, left) in enumerate(corners.tolist()):
        expected[row, :, top : top + 5, left : left + 5] = 0.0
    torch.testing.assert_close(shown, expected, atol=1e-6, rtol=0)
    assert (mask.covered(corners).sum(dim=(1, 2)) == 25).all()


def test_random_squares_lie_inside_and_reach_every_corner_of_the_picture() -> None:
    torch.manual_seed(0)
    mask = SlidingMask(9, 7, 5, 3)
    corners = mask.random_corners(500, torch.device("cpu"))
    assert {tuple(corner) for corner in corners.tolist()} == {(y, x) for y in range(5) for x in range(3)}


@pytest.mark.parametrize("area", [0.6, 1e-6])
def test_a_square_that_does_not_fit_is_refused(area: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        SlidingMask.of_area(area, 64, 32, 10)
