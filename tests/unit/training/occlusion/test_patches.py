from __future__ import annotations

import torch

from models.networks.normalisation import hide, normalise
from models.occlusion import NONE, PLACES, TYPES, code_at, grade, rectangle
from training.occlusion.patches import grader_targets, occlude_four_ways


def _copies(count: int = 64, half_share: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    pictures = torch.full((count, 3, 32, 16), 7.0)
    copies = occlude_four_ways(pictures, torch.full((count, 3, 32, 16), 99.0), half_share)
    return copies.pictures, copies.codes


def test_a_copy_shows_the_patch_in_the_stated_rectangle_and_the_picture_elsewhere() -> None:
    pictures, codes = _copies()
    for place in range(4):
        for row in range(pictures.shape[1]):
            top, left, bottom, right = rectangle(int(codes[place, row]), 32, 16)
            expected = torch.full((3, 32, 16), 7.0)
            expected[:, top:bottom, left:right] = 99.0
            torch.testing.assert_close(pictures[place, row], expected)


def test_the_four_copies_of_a_picture_lie_at_the_four_places_with_one_area() -> None:
    _, codes = _copies()
    for row in range(codes.shape[1]):
        kinds = [TYPES[int(code)] for code in codes[:, row]]
        assert tuple(kind.place for kind in kinds) == PLACES
        assert len({kind.area for kind in kinds}) == 1


def test_half_share_decides_the_area() -> None:
    assert {TYPES[int(code)].area for code in _copies(half_share=1.0)[1].flatten()} == {0.5}
    assert {TYPES[int(code)].area for code in _copies(half_share=0.0)[1].flatten()} == {0.25}
    assert {TYPES[int(code)].area for code in _copies(half_share=0.5)[1].flatten()} == {0.25, 0.5}


def test_patches_come_from_the_corners_and_have_the_papers_areas() -> None:
    """A source whose value encodes the position shows where each patch was cut from."""
    torch.manual_seed(1)
    count, height, width = 400, 64, 32
    rows = torch.arange(height).float()[None, None, :, None].expand(count, 1, height, width)
    columns = torch.arange(width).float()[None, None, None, :].expand(count, 1, height, width)
    sources = torch.cat((rows, columns, rows), dim=1)
    copies = occlude_four_ways(torch.full((count, 3, height, width), -1.0), sources)
    corners = set()
    for index in range(count):
        top, left, bottom, right = rectangle(int(copies.codes[0, index]), height, width)
        patch = copies.pictures[0, index, :, top:bottom, left:right]
        low_y, high_y = float(patch[0].min()), float(patch[0].max())
        low_x, high_x = float(patch[1].min()), float(patch[1].max())
        touches = (low_y < 1.0, high_y > height - 2.0, low_x < 1.0, high_x > width - 2.0)
        assert touches[0] or touches[1]
        assert touches[2] or touches[3]
        corners.add((touches[0], touches[2]))
        area = (high_y - low_y) * (high_x - low_x) / (height * width)
        assert area <= 0.2 + 0.01
    assert len(corners) >= 4


def test_the_grader_is_trained_towards_twice_the_hidden_area() -> None:
    targets = grader_targets(torch.arange(9))
    assert targets[NONE].tolist() == [0.0, 0.0, 0.0, 0.0]
    assert targets[code_at("bottom", 0.25)].tolist() == [0.0, 0.5, 0.0, 0.0]
    assert targets[code_at("right", 0.5)].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert grade(targets.numpy()).tolist() == list(range(9))


def test_blank_copies_show_what_unification_will_lay_over_them() -> None:
    """After normalisation the hidden rectangle of a blank copy is zero, as in the bundle's graph."""
    torch.manual_seed(0)
    pictures = torch.rand(6, 3, 32, 16) * 255
    copies = occlude_four_ways(pictures, torch.rand(6, 3, 32, 16) * 255, blank_share=1.0)
    for place in range(4):
        expected = hide(normalise(pictures), copies.codes[place])
        torch.testing.assert_close(normalise(copies.pictures[place]), expected, atol=1e-5, rtol=0)
