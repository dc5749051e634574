from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import occlusion

sides = st.integers(min_value=1, max_value=300)


@given(height=sides, width=sides)
def test_opposite_halves_cover_every_pixel(height: int, width: int) -> None:
    masks = occlusion.visibility_masks(height, width)
    for one, other in (("top", "bottom"), ("left", "right")):
        hidden = (1 - masks[occlusion.code_at(one, 0.5)]) + (1 - masks[occlusion.code_at(other, 0.5)])
        assert hidden.min() >= 1


@given(height=sides, width=sides)
def test_a_quarter_lies_inside_its_half(height: int, width: int) -> None:
    masks = occlusion.visibility_masks(height, width)
    for place in occlusion.PLACES:
        assert (masks[occlusion.code_at(place, 0.25)] >= masks[occlusion.code_at(place, 0.5)]).all()


@given(height=st.integers(1, 64).map(lambda n: 4 * n), width=st.integers(1, 64).map(lambda n: 4 * n))
def test_masks_hide_exactly_the_stated_area(height: int, width: int) -> None:
    masks = occlusion.visibility_masks(height, width)
    for kind in occlusion.TYPES:
        assert 1.0 - masks[kind.code].mean(dtype=np.float64) == pytest.approx(kind.area)


def test_masks_hide_the_named_place() -> None:
    masks = occlusion.visibility_masks(8, 4)
    assert masks[occlusion.code_of("top_quarter")].sum(axis=1).tolist() == [0, 0, 4, 4, 4, 4, 4, 4]
    assert masks[occlusion.code_of("bottom_half")].sum(axis=1).tolist() == [4, 4, 4, 4, 0, 0, 0, 0]
    assert masks[occlusion.code_of("left_quarter")].sum(axis=0).tolist() == [0, 8, 8, 8]
    assert masks[occlusion.code_of("right_half")].sum(axis=0).tolist() == [8, 8, 0, 0]
    assert masks[occlusion.NONE].all()


def test_codes_are_those_of_the_design() -> None:
    assert occlusion.NAMES == (
        "none",
        "top_quarter",
        "top_half",
        "bottom_quarter",
        "bottom_half",
        "left_quarter",
        "left_half",
        "right_quarter",
        "right_half",
    )
    assert [kind.code for kind in occlusion.TYPES] == list(range(9))


def test_grading_follows_equation_8() -> None:
    scores = [
        [0.49, 0.2, 0.2, 0.11],
        [0.5, 0.2, 0.2, 0.1],
        [0.1, 0.74, 0.1, 0.06],
        [0.1, 0.75, 0.1, 0.05],
        [0.0, 0.0, 0.6, 0.4],
        [0.0, 0.0, 0.0, 1.0],
        [0.25, 0.25, 0.25, 0.25],
    ]
    expected = ["none", "top_quarter", "bottom_quarter", "bottom_half", "left_quarter", "right_half", "none"]
    assert [occlusion.NAMES[code] for code in occlusion.grade(scores)] == expected


def test_the_softmax_optimum_lies_between_the_papers_thresholds() -> None:
    """Least squares towards (2·area, 0, 0, 0) under "sums to one": 0.25, 0.625 and 1."""
    scores = [[0.25] * 4, [0.625, 0.125, 0.125, 0.125], [1.0, 0.0, 0.0, 0.0]]
    assert [occlusion.TYPES[code].area for code in occlusion.grade(scores)] == [0.0, 0.25, 0.5]


@pytest.mark.parametrize("scores", [[[0.1, 0.2, 0.3]], [0.1, 0.2, 0.3, 0.4], [[0.1, float("nan"), 0.3, 0.4]]])
def test_scores_of_a_wrong_shape_or_value_are_refused(scores: object) -> None:
    with pytest.raises(ValueError, match="scores must be"):
        occlusion.grade(scores)  # type: ignore[arg-type]


def test_unknown_names_and_codes_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown occlusion type 'middle'"):
        occlusion.code_of("middle")
    with pytest.raises(ValueError, match="0 to 8"):
        occlusion.rectangle(9, 8, 4)
    with pytest.raises(ValueError, match="no occlusion type"):
        occlusion.code_at("top", 0.3)
