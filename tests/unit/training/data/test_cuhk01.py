from __future__ import annotations

from pathlib import Path

import pytest

from tests import drawn_layouts
from training.data import cuhk01
from training.data.records import DatasetError, people
from training.evaluation import protocols


def test_two_pictures_make_a_view(tmp_path: Path) -> None:
    drawn_layouts.cuhk01(tmp_path, 2)
    pictures = cuhk01.read(tmp_path)
    assert [(p.person, p.camera) for p in pictures] == [(k, c) for k in (1, 2) for c in (1, 1, 2, 2)]
    assert cuhk01.read(tmp_path / "CUHK01") == cuhk01.read(tmp_path / "CUHK01" / "campus") == pictures


@pytest.mark.parametrize("name", ["0001005.png", "001001.png", "0001_001.png"])
def test_names_that_are_not_cuhk01s_are_refused(name: str) -> None:
    with pytest.raises(DatasetError, match="CUHK01"):
        cuhk01.parse_name(name)


def test_a_trial_draws_the_published_numbers_of_people_always_the_same(tmp_path: Path) -> None:
    everyone = range(1, 972)
    drawn = cuhk01.draw_people(everyone, 486)
    assert len(drawn) == 486
    assert drawn == cuhk01.draw_people(list(reversed(everyone)), 486) != cuhk01.draw_people(everyone, 486, 1)
    assert sorted(drawn)[:5] == [1, 3, 5, 6, 7]


def test_view_a_asks_and_view_b_answers_with_nobody_trained_on(tmp_path: Path) -> None:
    drawn_layouts.cuhk01(tmp_path, 102)
    protocol = protocols.load("cuhk01-100", tmp_path)
    assert {p.camera for p in protocol.query} == {1}
    assert {p.camera for p in protocol.gallery} == {2}
    assert people(protocol.query) == people(protocol.gallery)
    assert (len(people(protocol.query)), len(people(protocol.train))) == (100, 2)
    assert not set(people(protocol.query)) & set(people(protocol.train))


def test_too_few_people_to_split_are_told(tmp_path: Path) -> None:
    drawn_layouts.cuhk01(tmp_path, 3)
    with pytest.raises(DatasetError, match="486 to test; found 3"):
        protocols.load("cuhk01", tmp_path)
