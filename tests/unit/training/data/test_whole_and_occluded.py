from __future__ import annotations

from pathlib import Path

import pytest

from tests import drawn_layouts
from tests.drawn_layouts import draw_tree
from training.data import occluded_reid, p_dukemtmc, partial_reid
from training.data.records import DatasetError, people
from training.evaluation import protocols
from training.evaluation.occluders import read_picture


@pytest.mark.parametrize(
    ("name", "asks"),
    [("partial-reid", "partial_body_images"), ("partial-reid-occluded", "occluded_body_images")],
)
def test_partial_reid_asks_with_cropped_or_with_occluded_pictures(
    tmp_path: Path, name: str, asks: str
) -> None:
    drawn_layouts.partial_reid(tmp_path)
    protocol = protocols.load(name, tmp_path)
    assert {p.path.parent.name for p in protocol.query} == {asks}
    assert {p.path.parent.name for p in protocol.gallery} == {"whole_body_images"}
    assert [p.person for p in protocol.query] == [1, 1, 2, 2]
    assert not protocol.camera_rule
    assert protocol.train == ()


def test_partial_reid_without_its_cropped_pictures_still_asks_with_the_occluded(tmp_path: Path) -> None:
    names = [f"{part}/001_001.jpg" for part in ("whole_body_images", "occluded_body_images")]
    draw_tree(tmp_path / "Partial-REID_Dataset", names)
    assert len(protocols.load("partial-reid-occluded", tmp_path).query) == 1
    with pytest.raises(
        DatasetError, match=r"Expected: .*partial_body_images/\. Found: occluded_body_images/"
    ):
        protocols.load("partial-reid", tmp_path)


def test_occluded_reid_reads_tiff_in_person_folders(tmp_path: Path) -> None:
    drawn_layouts.occluded_reid(tmp_path)
    protocol = protocols.load("occluded-reid", tmp_path)
    assert [p.path.name for p in protocol.query] == ["001_01.tif", "001_02.tif", "002_01.tif", "002_02.tif"]
    assert {p.camera for p in protocol.query} == {2}
    assert {p.camera for p in protocol.gallery} == {1}
    assert read_picture(protocol.query[0]).size == (8, 16)


def test_a_picture_in_another_persons_folder_is_refused(tmp_path: Path) -> None:
    drawn_layouts.occluded_reid(tmp_path)
    draw_tree(tmp_path / "Occluded_REID" / "whole_body_images", ["001/002_07.tif"])
    with pytest.raises(DatasetError, match=r"shows person 2 by its name, in the folder '001'"):
        occluded_reid.read(tmp_path, "whole_body_images")


def test_flat_and_nested_data_sets_are_not_taken_for_each_other(tmp_path: Path) -> None:
    drawn_layouts.partial_reid(tmp_path)
    with pytest.raises(DatasetError, match="no Occluded_REID under"):
        occluded_reid.read(tmp_path / "Partial-REID_Dataset", "whole_body_images")
    drawn_layouts.occluded_reid(tmp_path)
    with pytest.raises(DatasetError, match="no Partial-REID_Dataset under"):
        partial_reid.read(tmp_path / "Occluded_REID", "occluded_body_images")


def test_p_dukemtmc_trains_on_both_sides_and_asks_with_the_occluded(tmp_path: Path) -> None:
    drawn_layouts.p_dukemtmc(tmp_path)
    protocol = protocols.load("p-dukemtmc", tmp_path, acknowledge_withdrawn=True)
    assert people(protocol.train) == [1, 3]
    assert len(protocol.train) == 4
    assert people(protocol.query) == people(protocol.gallery) == [2, 9]
    assert {p.path.parent.parent.name for p in protocol.query} == {"occluded_body_images"}


def test_p_dukemtmc_without_a_half_is_told(tmp_path: Path) -> None:
    draw_tree(tmp_path / "P-DukeMTMC-reid", ["test/whole_body_images/0001/0001_c1_f0000001.jpg"])
    with pytest.raises(DatasetError, match=r"Expected: .*train/occluded_body_images/.*Found: test/"):
        p_dukemtmc.read(tmp_path, "test", "whole_body_images", acknowledge_withdrawn=True)
