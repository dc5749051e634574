from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tests.drawn_layouts import draw_tree
from training.data import manifest, person_folders
from training.data.own_pictures import number
from training.data.records import DatasetError, Picture
from training.data.synthetic import Plan, read_pictures, write_dataset
from training.evaluation import protocols


def _names(pictures: tuple[Picture, ...]) -> list[str]:
    return [picture.path.name for picture in pictures]


def _table(folder: Path, text: str, name: str = "manifest.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_numbers_stay_as_written_and_names_get_their_places() -> None:
    assert number(["7", "12", "007"]) == {"7": 7, "12": 12, "007": 7}
    assert number(["ben", "anna", "ben"]) == {"anna": 0, "ben": 1}
    assert number(["12", "b"]) == {"12": 0, "b": 1}


def test_folders_that_are_split_keep_their_split(tmp_path: Path) -> None:
    names = ["train/anna/c1_1.jpg", "query/ben/cam02-1.jpg", "gallery/ben/x_c3.png", "gallery/cleo/c1.jpg"]
    draw_tree(tmp_path, names)
    protocol = protocols.load("folders", tmp_path)
    assert [(p.person, p.camera) for p in protocol.train] == [(0, 1)]
    assert [(p.person, p.camera) for p in protocol.query] == [(1, 2)]
    assert [(p.person, p.camera) for p in protocol.gallery] == [(1, 3), (2, 1)]
    assert protocol.camera_rule


def test_folders_that_are_not_split_ask_with_each_persons_first_picture_in_each_camera(
    tmp_path: Path,
) -> None:
    draw_tree(
        tmp_path, [f"{person}/c{camera}_{shot}.jpg" for person in "12" for camera in "12" for shot in "ab"]
    )
    protocol = person_folders.read(tmp_path)
    assert _names(protocol.query) == ["c1_a.jpg", "c2_a.jpg"] * 2
    assert _names(protocol.gallery) == ["c1_b.jpg", "c2_b.jpg"] * 2


def test_one_picture_without_a_camera_makes_all_cameras_unknown(tmp_path: Path) -> None:
    draw_tree(tmp_path, ["anna/c1_a.jpg", "anna/c2_b.jpg", "ben/plain.jpg", "ben/scanc4.jpg"])
    protocol = person_folders.read(tmp_path)
    assert {p.camera for p in protocol.query + protocol.gallery} == {0}
    assert not protocol.camera_rule
    assert _names(protocol.query) == ["c1_a.jpg", "plain.jpg"]


def test_folders_in_which_nobody_can_be_found_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="one for each person"):
        person_folders.read(tmp_path)
    draw_tree(tmp_path, ["anna/c1_a.jpg", "ben/c1_a.jpg"])
    with pytest.raises(DatasetError, match="two pictures in a camera"):
        person_folders.read(tmp_path)
    draw_tree(tmp_path / "half", ["query/anna/c1_a.jpg"])
    with pytest.raises(DatasetError, match="expected query/ and gallery/ both"):
        person_folders.read(tmp_path / "half")


ROWS = """path,person,camera,time,split,remark
a/1.jpg,anna,door,2026-03-01T12:00:00,train,ours
a/2.jpg,ben,door,2026-03-01T12:00:30+01:00,query,
a/3.jpg,ben,yard,17.5,gallery,late
a/4.jpg,cleo,yard,,gallery,
"""


def test_a_manifest_gives_person_camera_time_and_split(tmp_path: Path) -> None:
    draw_tree(tmp_path, [f"a/{k}.jpg" for k in range(1, 5)])
    protocol = protocols.load("manifest", _table(tmp_path, ROWS))
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    assert protocol.train == (Picture(tmp_path / "a/1.jpg", 0, 0, time=noon),)
    assert protocol.query == (Picture(tmp_path / "a/2.jpg", 1, 0, time=noon + 30 - 3600),)
    assert [(p.person, p.camera, p.time) for p in protocol.gallery] == [(1, 1, 17.5), (2, 1, None)]
    assert protocol.camera_rule


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    draw_tree(tmp_path, [f"a/{k}.jpg" for k in range(1, 4)])
    _table(tmp_path, "path,person,camera,time,split\na/1.jpg,4,1,0.5,query\na/2.jpg,4,2,,gallery\n", "t.csv")
    content = {
        "path": ["a/1.jpg", "a/2.jpg"],
        "person": [4, 4],
        "camera": [1, 2],
        "time": [0.5, None],
        "split": ["query", "gallery"],
    }
    parquet.write_table(pyarrow.table(content), tmp_path / "t.parquet")
    assert manifest.read(tmp_path / "t.parquet") == manifest.read(tmp_path / "t.csv")


def test_parquets_own_dates_are_times(tmp_path: Path) -> None:
    draw_tree(tmp_path, ["1.jpg", "2.jpg"])
    when = datetime(2026, 3, 1, 12, tzinfo=UTC)
    content = {"path": ["1.jpg", "2.jpg"], "person": ["a", "a"], "time": [when, None]}
    parquet.write_table(pyarrow.table(content), tmp_path / "manifest.parquet")
    assert manifest.read(tmp_path).query[0].time == when.timestamp()


def test_without_a_split_the_first_picture_asks_and_without_cameras_there_is_no_rule(tmp_path: Path) -> None:
    draw_tree(tmp_path, ["1.jpg", "2.jpg", "3.jpg"])
    protocol = manifest.read(_table(tmp_path, "path,person\n1.jpg,anna\n2.jpg,anna\n3.jpg,anna\n"))
    assert (_names(protocol.query), _names(protocol.gallery)) == (["1.jpg"], ["2.jpg", "3.jpg"])
    assert not protocol.camera_rule


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,name\n1.jpg,anna\n", r"line 2: no person.*Found: path, name"),
        ("path,person\n1.jpg,\n", "line 2: no person"),
        ("path,person\n9.jpg,anna\n", r"line 2: no picture .*9\.jpg"),
        ("path,person,split\n1.jpg,anna,test\n", "line 2: split is 'test', not one of train, query, gallery"),
        ("path,person,time\n1.jpg,anna,noon\n", "line 2: time is 'noon'"),
        ("path,person\n1.jpg\n", "line 2: more or fewer values"),
        ("path,person\n1.jpg,anna,7\n", "line 2: more or fewer values"),
        ("path,person\n", "names no pictures"),
        ("path,person\n1.jpg,anna\n", "nobody has two pictures"),
    ],
)
def test_a_faulty_manifest_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    draw_tree(tmp_path, ["1.jpg"])
    with pytest.raises(DatasetError, match=told):
        manifest.read(_table(tmp_path, text))


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no manifest\.csv or manifest\.parquet .*Found: nothing"):
        manifest.read(tmp_path)
    with pytest.raises(DatasetError, match="cannot be read as Parquet"):
        manifest.read(_table(tmp_path, "no", "t.parquet") / "t.parquet")
    with pytest.raises(DatasetError, match="neither a CSV"):
        manifest.read(_table(tmp_path, "no", "t.txt") / "t.txt")


def test_drawn_pedestrians_are_read_through_their_manifest(tmp_path: Path) -> None:
    write_dataset(tmp_path / "drawn", Plan(people=3, cameras=2, seed=1, height=32, width=16, queries=2))
    protocol = protocols.load("manifest:drawn", tmp_path)
    expected = {(p.path.name, p.person, p.camera) for p in read_pictures(tmp_path / "drawn")}
    got = {(p.path.name, p.person, p.camera) for p in protocol.query + protocol.gallery + protocol.train}
    assert got == expected
    assert len(protocol.query) == 2
