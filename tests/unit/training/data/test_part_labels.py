from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.part_labels import UNKNOWN, Labels, group, read_labels
from training.data.part_prior import draw_prior
from training.data.parts import Part
from training.data.records import DatasetError, Picture
from training.data.synthetic import draw


def _data(root: Path, label: int = 3, size: tuple[int, int] = (8, 16)) -> Picture:
    """A picture under ``root/set/train`` and its map under ``root/parts``."""
    picture = root / "set" / "train" / "0001_c1.jpg"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (8, 16)).save(picture)
    labels = root / "parts" / "set" / "train" / "0001_c1.png"
    labels.parent.mkdir(parents=True)
    Image.new("L", size, label).save(labels)
    return Picture(picture, 1, 1)


def _read(picture: Picture, root: Path, kind: Labels = "parts") -> np.ndarray:
    return read_labels([picture], root, Path("parts"), kind, 32, 16)


def test_a_map_is_found_by_its_pictures_path_and_fitted_without_mixing_labels(tmp_path: Path) -> None:
    picture = _data(tmp_path)
    labels = np.zeros((16, 8), np.uint8)
    labels[8:, :4] = Part.FOOT
    labels[0, 0] = UNKNOWN
    Image.fromarray(labels).save(tmp_path / "parts" / "set" / "train" / "0001_c1.png")
    found = _read(picture, tmp_path)
    assert np.array_equal(found[0], labels.repeat(2, axis=0).repeat(2, axis=1))


def test_a_palette_map_counts_by_its_indices(tmp_path: Path) -> None:
    picture = _data(tmp_path)
    image = Image.new("P", (8, 16), int(Part.CHEST))
    image.putpalette([0, 0, 0, 200, 0, 0] * 20)
    image.save(tmp_path / "parts" / "set" / "train" / "0001_c1.png")
    assert set(np.unique(_read(picture, tmp_path))) == {Part.CHEST}


def test_a_map_of_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    picture = _data(tmp_path, size=(9, 16))
    with pytest.raises(DatasetError, match=r"0001_c1\.png is 9 × 16 pixels, its picture 8 × 16"):
        _read(picture, tmp_path)


def test_a_missing_map_a_stray_label_and_a_coloured_map_are_named(tmp_path: Path) -> None:
    picture = _data(tmp_path, label=8)
    with pytest.raises(DatasetError, match=r"0001_c1\.png: label 8 has no meaning among parts labels"):
        _read(picture, tmp_path)
    with pytest.raises(ValueError, match="label 25"):
        group(np.full((2, 2), 25, np.uint8), "densepose")
    with pytest.raises(ValueError, match="label 20"):
        group(np.full((2, 2), 20, np.uint8), "lip")
    path = tmp_path / "parts" / "set" / "train" / "0001_c1.png"
    Image.new("RGB", (8, 16)).save(path)
    with pytest.raises(DatasetError, match="one 8-bit channel but PNG, RGB"):
        _read(picture, tmp_path)
    path.unlink()
    with pytest.raises(DatasetError, match="no label map"):
        _read(picture, tmp_path)
    with pytest.raises(DatasetError, match="does not lie under"):
        _read(picture, tmp_path / "elsewhere")


def test_every_densepose_part_has_its_region() -> None:
    """In the order of DensePose's paper: trunk, hands, feet, legs, arms, head."""
    expected = [0, 4, 4, 3, 3, 7, 7, 5, 5, 5, 5, 6, 6, 6, 6, 2, 2, 2, 2, 3, 3, 3, 3, 1, 1]
    found = group(np.arange(25, dtype=np.uint8)[None], "densepose")
    assert found[0].tolist() == expected


def test_the_twenty_classes_are_split_at_elbow_hip_and_knee() -> None:
    labels = np.zeros((102, 8), np.uint8)
    labels[1:101, 0] = 13  # a face as long as the person fixes the person's height to rows 1 to 100
    for column, class_ in enumerate((14, 9, 6, 5, 8, 18, 11), start=1):
        labels[1:101, column] = class_
    parts = group(labels, "lip")
    assert set(np.unique(parts[:, 0])) == {Part.NONE, Part.HEAD}
    arm, trousers, dress = parts[:, 1], parts[:, 2], parts[:, 3]
    assert arm[36] == Part.UPPER_ARM
    assert arm[39] == UNKNOWN
    assert arm[42] == Part.LOWER_ARM
    assert trousers[70] == Part.UPPER_LEG
    assert trousers[73] == UNKNOWN
    assert trousers[76] == Part.LOWER_LEG
    assert [int(dress[row]) for row in (40, 51, 60, 90)] == [4, UNKNOWN, 5, 6]
    assert [int(parts[50, column]) for column in (4, 5, 6, 7)] == [4, 6, 7, 1]
    assert parts[0].tolist() == [0] * 8


def test_the_prior_has_every_part_in_the_order_of_a_standing_body() -> None:
    prior = draw_prior(128, 64)
    middle = [int(np.flatnonzero((prior == part).any(axis=1)).mean()) for part in Part if part]
    head, upper_arm, lower_arm, chest, upper_leg, lower_leg, foot = middle
    assert head < upper_arm < chest < lower_arm < upper_leg < lower_leg < foot
    assert np.array_equal(prior, prior[:, ::-1])
    assert 0.3 < (prior == UNKNOWN).mean() < 0.7


def test_the_prior_agrees_with_most_of_what_drawn_people_show() -> None:
    """Seen from any side; upside down it would not."""
    prior = draw_prior(128, 64)
    maps = [draw(person, camera, 0, seed=5).labels for person in range(10) for camera in range(2)]

    def agreement(guess: np.ndarray) -> float:
        known = guess != UNKNOWN
        return float(np.mean([(labels[known] == guess[known]).mean() for labels in maps]))

    assert agreement(prior) > 0.6
    assert agreement(prior[::-1]) < 0.4
