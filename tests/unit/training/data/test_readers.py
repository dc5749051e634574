from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawn_datasets import draw, draw_market1501, draw_partial_ilids
from training.data import cuhk03, market1501, partial_ilids
from training.data.records import DatasetError

MARKET = "Market-1501-v15.09.15"


@given(
    st.integers(-1, 9999), st.integers(1, 6), st.integers(1, 6), st.integers(0, 999999), st.integers(0, 99)
)
def test_every_market_name_gives_back_its_person_and_camera(
    person: int, camera: int, sequence: int, frame: int, box: int
) -> None:
    text = "-1" if person < 0 else f"{person:04d}"
    name = f"{text}_c{camera}s{sequence}_{frame:06d}_{box:02d}.jpg"
    assert market1501.parse_name(name) == (person, camera)


@pytest.mark.parametrize(
    "name", ["0002.jpg", "002_c1s1_000451_03.jpg", "0002_c7s1_000451_03.jpg", "-2_c1s1_1_01.jpg"]
)
def test_names_that_are_not_markets_are_refused(name: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(name)):
        market1501.parse_name(name)


def test_junk_is_left_out_everywhere_and_distractors_stay_only_in_the_gallery(tmp_path: Path) -> None:
    for part in ("bounding_box_test", "query", "bounding_box_train"):
        for person in ("-1", "0000", "0005"):
            draw(tmp_path / MARKET / part / f"{person}_c1s1_000001_01.jpg", 5, 1)
    people = {
        part: [p.person for p in market1501.read(tmp_path, part)] for part in ("query", "bounding_box_train")
    }
    assert people == {"query": [5], "bounding_box_train": [5]}
    assert [p.person for p in market1501.read(tmp_path, "bounding_box_test")] == [0, 5]


def test_the_root_may_be_the_data_sets_folder_itself_even_renamed(tmp_path: Path) -> None:
    draw_market1501(tmp_path, people=2)
    inside = market1501.read(tmp_path / MARKET, market1501.TRAIN)
    (tmp_path / MARKET).rename(tmp_path / "market")
    renamed = market1501.read(tmp_path / "market", market1501.TRAIN)
    assert [p.path.name for p in inside] == [p.path.name for p in renamed]
    assert len(inside) == 8


def test_other_files_in_the_folder_are_not_pictures(tmp_path: Path) -> None:
    draw_market1501(tmp_path, people=1)
    (tmp_path / MARKET / "bounding_box_train" / "Thumbs.db").write_bytes(b"x")
    assert len(market1501.read(tmp_path, market1501.TRAIN)) == 4


def test_a_missing_data_set_is_told_with_what_was_expected_and_found(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    with pytest.raises(DatasetError, match=r"Expected: .*bounding_box_train/\. Found: holiday/"):
        market1501.read(tmp_path, market1501.TRAIN)
    with pytest.raises(DatasetError, match="no folder"):
        cuhk03.read(tmp_path / "nowhere")


def test_a_missing_half_is_told_with_what_is_there(tmp_path: Path) -> None:
    draw_market1501(tmp_path, people=1)
    with pytest.raises(DatasetError, match=r"Expected: .*/query/\. Found: bounding_box_train/"):
        market1501.read(tmp_path, market1501.QUERY)
    assert not market1501.holds(tmp_path, market1501.QUERY)
    assert market1501.holds(tmp_path, market1501.TRAIN)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "cuhk03-detected").mkdir()
    with pytest.raises(DatasetError, match="no pictures"):
        cuhk03.read(tmp_path)


def test_cuhk03_pictures_up_to_04_are_camera_a(tmp_path: Path) -> None:
    for name in ("0000_00.jpg", "0000_04.jpg", "0000_05.jpg", "0012_09.jpg"):
        draw(tmp_path / "cuhk03-detected" / name, 1, 1)
    pictures = cuhk03.read(tmp_path)
    assert [(p.person, p.camera) for p in pictures] == [(0, 1), (0, 1), (0, 2), (12, 2)]


@pytest.mark.parametrize("name", ["0000_10.jpg", "12_00.jpg", "picture.jpg"])
def test_names_that_are_not_cuhk03s_are_refused(name: str) -> None:
    with pytest.raises(DatasetError, match="CUHK03"):
        cuhk03.parse_name(name)


def test_partial_ilids_people_are_numbers_with_or_without_zeros(tmp_path: Path) -> None:
    draw_partial_ilids(tmp_path, people=12)
    probes = partial_ilids.read(tmp_path, partial_ilids.PROBE)
    uncropped = partial_ilids.read(tmp_path, partial_ilids.PROBE_NOCROP)
    assert [p.person for p in probes] == [p.person for p in uncropped] == list(range(1, 13))


def test_partial_ilids_leaves_out_the_two_people_with_one_picture_on_both_sides(tmp_path: Path) -> None:
    for person in (19, 20, 21, 100):
        draw(tmp_path / "Partial_iLIDS" / "Gallery" / f"{person}.jpg", person, 1)
    assert [p.person for p in partial_ilids.read(tmp_path, partial_ilids.GALLERY)] == [19, 21]
    everyone = partial_ilids.read(tmp_path, partial_ilids.GALLERY, frozenset())
    assert [p.person for p in everyone] == [19, 20, 21, 100]
