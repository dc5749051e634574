from __future__ import annotations

from pathlib import Path

import pytest

from tests.drawn_datasets import draw, draw_market1501, draw_partial_ilids
from training.data.records import DatasetError, people
from training.evaluation import protocols


def test_every_fifth_identity_from_the_first_validates(tmp_path: Path) -> None:
    draw_market1501(tmp_path, people=12)
    protocol = protocols.load("market1501-val", tmp_path)
    assert people(protocol.query + protocol.gallery) == [2, 7, 12]
    assert people(protocol.train) == [3, 4, 5, 6, 8, 9, 10, 11, 13]


def test_first_picture_of_each_person_and_camera_asks_and_the_rest_answer(tmp_path: Path) -> None:
    draw_market1501(tmp_path, people=5, cameras=2, per_camera=3)
    protocol = protocols.load("market1501-val", tmp_path)
    assert [p.path.name for p in protocol.query] == ["0002_c1s1_000000_01.jpg", "0002_c2s1_000000_01.jpg"]
    assert len(protocol.gallery) == 4
    assert protocol.camera_rule
    assert not set(protocol.query) & set(protocol.gallery)


def test_figures_on_validation_people_carry_their_warning(tmp_path: Path) -> None:
    draw_market1501(tmp_path)
    assert "not comparable" in protocols.load("market1501-val", tmp_path).note


def test_cuhk03_asks_from_camera_a_and_answers_from_camera_b(tmp_path: Path) -> None:
    for person in range(6):
        for shot in (0, 4, 5):
            draw(tmp_path / "cuhk03-detected" / f"{person:04d}_{shot:02d}.jpg", person, shot)
    protocol = protocols.load("cuhk03-val", tmp_path)
    assert [(p.person, p.camera) for p in protocol.query] == [(0, 1), (0, 1), (5, 1), (5, 1)]
    assert [(p.person, p.camera) for p in protocol.gallery] == [(0, 2), (5, 2)]
    assert people(protocol.train) == [1, 2, 3, 4]


def test_partial_ilids_has_one_picture_a_person_on_each_side_and_no_camera_rule(tmp_path: Path) -> None:
    draw_partial_ilids(tmp_path)
    for name, folder in (("partial-ilids", "Probe"), ("partial-ilids-nocrop", "partial_iLIDS_Probe_nocrop")):
        protocol = protocols.load(name, tmp_path)
        assert [p.person for p in protocol.query] == [p.person for p in protocol.gallery]
        assert {p.path.parent.name for p in protocol.query} == {folder}
        assert not protocol.camera_rule
        assert protocol.train == ()


def test_a_folder_of_pictures_makes_a_protocol(tmp_path: Path) -> None:
    for name in ("anna_1.jpg", "anna_2.jpg", "ben_1.jpg"):
        draw(tmp_path / name, 1, 1)
    protocol = protocols.of_folder(tmp_path)
    assert ([p.path.name for p in protocol.query], [p.path.name for p in protocol.gallery]) == (
        ["anna_1.jpg", "ben_1.jpg"],
        ["anna_2.jpg"],
    )


def test_a_folder_where_nobody_has_two_pictures_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "anna_1.jpg", 1, 1)
    with pytest.raises(DatasetError, match="two pictures"):
        protocols.of_folder(tmp_path)
