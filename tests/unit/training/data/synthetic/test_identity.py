"""What near-identical people promise: everything the same but one thing."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from training.data.parts import Part
from training.data.synthetic.canvas import Frame
from training.data.synthetic.figure import draw_figure
from training.data.synthetic.gait import Holding, Pose
from training.data.synthetic.identity import DETAILS, Detail, Identity, Twin, identity_of, twin_of
from training.data.synthetic.sight import VIEWS

PEOPLE = range(1, 81)
FIELDS = {"shoes": {"shoes"}, "bag": {"bag", "bag_colour"}, "collar": {"collar"}}


def _figure(identity: Identity, view: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A person in one pose: picture and label map."""
    picture, labels = Image.new("RGB", (128, 256), (128, 128, 128)), Image.new("L", (128, 256))
    in_hand = identity.bag_side if identity.bag == "handbag" else 0
    left: Holding = "bag" if in_hand == 1 else "nothing"
    right: Holding = "bag" if in_hand == -1 else "nothing"
    pose = Pose(VIEWS[view], 0.7, 0.4, left=left, right=right)
    draw_figure(picture, Frame(64, 8, 270, 240), identity, pose, labels=labels)
    return np.asarray(picture), np.asarray(labels)


def _pairs(detail: Detail) -> list[tuple[Identity, Identity]]:
    return [
        (identity_of(3, person, 1.0), identity_of(3, twin.of, 1.0))
        for person in PEOPLE
        if person % 2 and (twin := twin_of(3, person, 1.0)) is not None and twin.detail == detail
    ]


def _where_anything_differs(
    pairs: list[tuple[Identity, Identity]], view: str
) -> list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    found = []
    for one, other in pairs:
        (first, first_labels), (second, second_labels) = _figure(one, view), _figure(other, view)
        found.append(((first != second).any(axis=2), first_labels, second_labels))
    return found


def test_twins_point_at_each_other_and_tell_one_of_three_details() -> None:
    twins = {person: twin_of(3, person, 0.5) for person in PEOPLE}
    assert 0.3 < np.mean([twin is not None for twin in twins.values()]) < 0.7
    for person, twin in twins.items():
        if twin is not None:
            assert twins[twin.of] == Twin(person, twin.detail)
    assert {twin.detail for twin in twins.values() if twin} == set(DETAILS)
    assert not any(twin_of(3, person, 0.0) for person in PEOPLE)
    assert all(twin_of(3, person, 1.0) for person in PEOPLE)


@pytest.mark.parametrize("detail", DETAILS)
def test_twins_are_the_same_person_but_for_the_detail(detail: Detail) -> None:
    pairs = _pairs(detail)
    assert len(pairs) > 5
    for one, other in pairs:
        changed = {name for name, value in asdict(one).items() if asdict(other)[name] != value}
        assert changed
        assert changed <= FIELDS[detail]


def test_without_twins_the_first_of_a_pair_is_who_it_was() -> None:
    assert identity_of(3, 1, 1.0) == identity_of(3, 1)
    assert identity_of(3, 2, 1.0) != identity_of(3, 2)


@pytest.mark.parametrize("view", ["front", "back", "left", "front_right"])
def test_other_shoes_change_pixels_of_the_feet_only(view: str) -> None:
    for differs, labels, other_labels in _where_anything_differs(_pairs("shoes"), view):
        assert differs.any()
        assert np.array_equal(labels, other_labels)
        assert (labels[differs] == Part.FOOT).all()


@pytest.mark.parametrize("view", ["front", "left", "front_right"])
def test_another_collar_changes_pixels_about_the_neck_only(view: str) -> None:
    for differs, _, _ in _where_anything_differs(_pairs("collar"), view):
        assert differs.any()
        rows, columns = np.nonzero(differs)
        # Between chin and breast (0.13 and 0.25 of the body), no wider than a neck with its flaps.
        assert rows.min() > 8 + 0.1 * 240
        assert rows.max() < 8 + 0.32 * 240
        assert np.ptp(columns) < 0.2 * 270


@pytest.mark.parametrize("view", ["front", "back", "left", "right"])
def test_another_bag_changes_pixels_where_a_bag_or_its_shadow_is_only(view: str) -> None:
    seen = 0
    for differs, labels, other_labels in _where_anything_differs(_pairs("bag"), view):
        # A bag is no part of the body; its shadow is soft over two pixels.
        bag = (
            Image.fromarray((labels == 0) | (other_labels == 0)).convert("L").filter(ImageFilter.MaxFilter(7))
        )
        assert not (differs & ~np.asarray(bag, dtype=bool)).any()
        assert differs.mean() < 0.15
        seen += bool(differs.any())
    assert seen > 5
