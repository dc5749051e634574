"""What the label map of a drawn picture promises."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from training.data.parts import LOWER_TORSO, PARTS, UPPER_TORSO, Part
from training.data.synthetic import draw
from training.data.synthetic.canvas import Frame
from training.data.synthetic.dice import Dice, Subject
from training.data.synthetic.figure import draw_figure
from training.data.synthetic.gait import Pose
from training.data.synthetic.identity import Identity, make_identity
from training.data.synthetic.sight import VIEWS

WALKER = replace(
    make_identity(Dice(1, Subject.IDENTITY, 1)),
    lower="trousers",
    coat=False,
    bag="none",
    hat="none",
    collar=None,
)
"""A body with nothing that hides parts of it."""


def _figure(identity: Identity, pose: Pose) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8]]:
    """Where a figure is drawn at all, found by drawing it on two grounds, and its label map."""
    grounds = []
    labels = Image.new("L", (128, 256))
    for colour in ((255, 0, 255), (0, 255, 0)):
        picture = Image.new("RGB", (128, 256), colour)
        draw_figure(picture, Frame(64, 8, 270, 240), identity, pose, labels=labels)
        grounds.append(np.asarray(picture).astype(int))
    return (np.abs(grounds[0] - grounds[1]).sum(axis=2) == 0), np.asarray(labels)


def test_codes_follow_the_order_of_the_names() -> None:
    assert [Part[name.upper()] for name in PARTS] == list(range(1, 8))
    assert (*UPPER_TORSO, *LOWER_TORSO) == tuple(range(1, 8))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("phase", [0.0, 2.5, 4.0])
def test_labels_cover_the_drawn_body_to_the_pixel(view: str, phase: float) -> None:
    drawn, labels = _figure(WALKER, Pose(VIEWS[view], phase, 0.4))
    assert np.array_equal(labels > 0, drawn)


@pytest.mark.parametrize("view", ["left", "right", "front", "front_left", "back_right"])
def test_every_part_of_a_walker_in_full_view_is_seen(view: str) -> None:
    for person, lower in itertools.product(range(6), ("trousers", "shorts", "skirt")):
        identity = replace(
            make_identity(Dice(2, Subject.IDENTITY, person)),
            lower=lower,
            coat=False,
            bag="none",
            hairstyle="short",
        )
        _, labels = _figure(identity, Pose(VIEWS[view], 0.6 * person, 0.4))
        assert set(np.unique(labels)) == set(range(8)), (person, lower)


def test_parts_lie_where_a_body_has_them() -> None:
    for view, turn in VIEWS.items():
        _, labels = _figure(WALKER, Pose(turn, 0.3, 0.4))
        height = {part: np.nonzero(labels == part)[0].mean() for part in range(1, 8)}
        assert height[1] < height[4] < height[5] < height[6] < height[7], view
        assert height[2] < height[3], view


def test_carried_bags_are_no_part_of_the_body() -> None:
    laden = replace(WALKER, bag="backpack", bag_colour=(255, 0, 0))
    _, bare = _figure(WALKER, Pose(VIEWS["back"], 0.3, 0.4))
    _, with_bag = _figure(laden, Pose(VIEWS["back"], 0.3, 0.4))
    assert (bare != with_bag).sum() > 2000
    assert (with_bag[bare != with_bag] == 0).all()


def test_label_map_is_the_same_whether_or_not_something_stands_in_front_except_for_the_mask() -> None:
    for code, person in itertools.product(range(1, 9), range(4)):
        whole, covered = draw(person, 2, 1, seed=5), draw(person, 2, 1, seed=5, occlusion=code)
        assert whole.labels.dtype == np.uint8
        assert whole.labels.shape == whole.image.shape[:2]
        assert not covered.labels[covered.mask].any()
        assert np.array_equal(covered.labels[~covered.mask], whole.labels[~covered.mask])
        body = whole.labels > 0
        assert covered.hidden == pytest.approx((body & covered.mask).sum() / body.sum())
        assert whole.hidden == 0.0


def test_half_of_the_picture_hides_about_half_of_the_person() -> None:
    hidden = {
        code: np.mean([draw(person, 0, 0, seed=6, occlusion=code).hidden for person in range(16)])
        for code in range(1, 9)
    }
    assert 0.4 < hidden[2] < 0.65
    assert 0.3 < hidden[4] < 0.6
    for quarter in (1, 3, 5, 7):
        assert hidden[quarter] < 0.6 * hidden[quarter + 1]
