from __future__ import annotations

from pathlib import Path

import pytest

from tests import drawn_layouts
from tests.drawn_layouts import draw_tree
from training.data import dukemtmc_reid, market1501, occluded_dukemtmc, opreid
from training.data.records import DatasetError, Picture
from training.evaluation import protocols


def _who(pictures: tuple[Picture, ...]) -> list[tuple[int, int]]:
    return [(picture.person, picture.camera) for picture in pictures]


def test_market1501_leaves_junk_out_and_lets_only_the_gallery_distract(tmp_path: Path) -> None:
    drawn_layouts.market1501_with_distractors(tmp_path)
    protocol = protocols.load("market1501", tmp_path)
    assert _who(protocol.train) == [(2, 1), (2, 2), (7, 3)]
    assert _who(protocol.query) == [(1, 1), (3, 5)]
    assert _who(protocol.gallery) == [(0, 1), (1, 2), (3, 6)]
    assert protocol.camera_rule


def test_the_extra_distractors_join_the_gallery_as_nobody(tmp_path: Path) -> None:
    drawn_layouts.market1501_with_distractors(tmp_path)
    plain, more = (protocols.load(name, tmp_path) for name in ("market1501", "market1501-500k"))
    extra = more.gallery[len(plain.gallery) :]
    assert more.gallery[: len(plain.gallery)] == plain.gallery
    assert [(p.path.name, p.person, p.camera) for p in extra] == [
        ("00000017.jpg", market1501.DISTRACTOR, 0),
        ("0000_c4s2_000151_01.jpg", market1501.DISTRACTOR, 4),
    ]
    assert (more.query, more.train) == (plain.query, plain.train)


def test_multi_query_has_more_pictures_of_the_querys_person_and_camera(tmp_path: Path) -> None:
    drawn_layouts.market1501_with_distractors(tmp_path)
    query, more = (market1501.read(tmp_path, part) for part in (market1501.QUERY, market1501.HAND_DRAWN))
    assert _who(more) == [(1, 1)] == _who(query)[:1]


def test_a_missing_distractor_folder_is_named(tmp_path: Path) -> None:
    draw_tree(tmp_path / "Market-1501-v15.09.15", ["bounding_box_test/0001_c2s1_000301_00.jpg"])
    with pytest.raises(DatasetError, match=r"Expected: .*/images/\. Found: bounding_box_test/"):
        market1501.read_distractors(tmp_path)


def test_duke_and_what_is_made_from_it_read_person_and_camera_from_the_name(tmp_path: Path) -> None:
    drawn_layouts.duke(tmp_path, "DukeMTMC-reID")
    drawn_layouts.duke(tmp_path, "Occluded_Duke")
    for name in ("dukemtmc-reid", "occluded-dukemtmc"):
        protocol = protocols.load(name, tmp_path, acknowledge_withdrawn=True)
        assert _who(protocol.train) == [(1, 2), (1, 5), (11, 8)]
        assert _who(protocol.query) == [(5, 2)]
        assert _who(protocol.gallery) == [(5, 5), (6, 8)]
        assert protocol.camera_rule


def test_a_data_set_is_not_taken_for_another_of_the_same_layout(tmp_path: Path) -> None:
    drawn_layouts.duke(tmp_path, "DukeMTMC-reID")
    with pytest.raises(DatasetError, match="no Occluded_Duke under"):
        occluded_dukemtmc.read(tmp_path / "DukeMTMC-reID", "query", acknowledge_withdrawn=True)
    renamed = (tmp_path / "DukeMTMC-reID").rename(tmp_path / "mine")
    assert len(dukemtmc_reid.read(renamed, "query", acknowledge_withdrawn=True)) == 1
    with pytest.raises(DatasetError, match="is not a Market-1501 name"):
        market1501.read(renamed, "query")


@pytest.mark.parametrize(
    "name", ["0001_c9_f0046182.jpg", "0001_c2_0046182.jpg", "1_c2_f0046182.jpg", "-1_c2_f0046182.jpg"]
)
def test_names_that_are_not_dukes_are_refused(name: str) -> None:
    with pytest.raises(DatasetError, match="not a DukeMTMC-reID name"):
        dukemtmc_reid.parse_name(name)


def test_opreid_has_thousands_of_cameras(tmp_path: Path) -> None:
    drawn_layouts.opreid(tmp_path)
    assert _who(opreid.read(tmp_path, "query")) == [(1745, 5973)]
    assert len(protocols.load("opreid", tmp_path).gallery) == 2


def test_opreid_laid_out_otherwise_is_refused_with_what_was_found(tmp_path: Path) -> None:
    draw_tree(tmp_path / "OPReID", ["test/0001.jpg"])
    with pytest.raises(DatasetError, match=r"Expected: OPReID/query/\. Found: test/"):
        opreid.read(tmp_path, "query")
