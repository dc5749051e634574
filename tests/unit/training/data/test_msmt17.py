from __future__ import annotations

from pathlib import Path

import pytest

from tests import drawn_layouts
from training.data import msmt17
from training.data.records import DatasetError, people
from training.evaluation import protocols


@pytest.mark.parametrize("version", [1, 2])
def test_lists_name_person_and_camera_in_both_versions(tmp_path: Path, version: int) -> None:
    drawn_layouts.msmt17(tmp_path, version)
    protocol = protocols.load("msmt17", tmp_path)
    assert [(p.person, p.camera) for p in protocol.train] == [(0, 1), (1, 15)]
    assert [p.camera for p in protocol.gallery] == [3, 3]
    assert all(p.path.is_file() for p in protocol.train + protocol.query + protocol.gallery)
    assert protocol.camera_rule


def test_person_0_of_one_half_is_not_person_0_of_the_other(tmp_path: Path) -> None:
    drawn_layouts.msmt17(tmp_path, 1)
    protocol = protocols.load("msmt17", tmp_path)
    assert people(protocol.query) == [msmt17.TEST_OFFSET]
    assert not set(people(protocol.train)) & set(people(protocol.query + protocol.gallery))


def test_validation_pictures_train_only_where_asked_for(tmp_path: Path) -> None:
    drawn_layouts.msmt17(tmp_path, 1)
    plain, more = (protocols.load(name, tmp_path) for name in ("msmt17", "msmt17-trainval"))
    assert [p.path.name for p in more.train[len(plain.train) :]] == ["0000_012_04_0303morning_0050_1.jpg"]
    assert more.note != plain.note


def test_a_line_that_is_none_is_told(tmp_path: Path) -> None:
    drawn_layouts.msmt17(tmp_path, 1)
    (tmp_path / "MSMT17_V1" / "list_query.txt").write_text("0000/0000_000.jpg 0\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="is not a line of MSMT17's lists"):
        msmt17.read(tmp_path, msmt17.QUERY)


def test_lists_without_their_pictures_are_told(tmp_path: Path) -> None:
    drawn_layouts.msmt17(tmp_path, 1)
    (tmp_path / "MSMT17_V1" / "test" / "0000" / "0000_000_02_0113afternoon_0001_0.jpg").unlink()
    with pytest.raises(DatasetError, match="which is not there"):
        msmt17.read(tmp_path, msmt17.QUERY)
    (tmp_path / "MSMT17_V1" / "test").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="has no folder test or mask_test_v2"):
        msmt17.read(tmp_path, msmt17.QUERY)
