"""Whose picture is whose: folders, naming patterns, manifests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.api.schemas.pictures import Item
from service.folder import COLUMNS, FolderError, compile_pattern, others, read_folder, read_manifest


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def test_folder_per_person_gives_person_and_relative_path_as_client_id(tmp_path: Path) -> None:
    make(tmp_path, "bo/1.jpg", "anna/b.PNG", "anna/deep/a.jpg", "anna/notes.txt", "Thumbs.db")
    found = read_folder(tmp_path)
    assert [(one.person, one.client_id) for one in found] == [
        ("anna", "anna/b.PNG"),
        ("anna", "anna/deep/a.jpg"),
        ("bo", "bo/1.jpg"),
    ]


def test_flat_pictures_without_a_pattern_are_refused_with_what_to_do(tmp_path: Path) -> None:
    make(tmp_path, "anna/1.jpg", "stray.jpg")
    with pytest.raises(FolderError, match=r"stray\.jpg.*--pattern"):
        read_folder(tmp_path)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no pictures"):
        read_folder(make(tmp_path, "readme.txt"))
    with pytest.raises(FolderError, match="not a folder"):
        read_folder(tmp_path / "missing")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("{person}_c{camera}s*", "0002_c1s1_000451_03", ("0002", "1")),
        ("{person}_c{camera}s*", "any/where/0002_c1s1_000451_03", ("0002", "1")),
        ("{person}", "sub/anna", ("anna", None)),
        ("cam{camera}/{person}-*", "cam7/anna-99", ("anna", "7")),
        ("*_{person}.x", "1_2_bo.x", ("bo", None)),
    ],
)
def test_pattern_reads_person_and_camera(pattern: str, name: str, expected: tuple[str, str | None]) -> None:
    found = compile_pattern(pattern).fullmatch(name)
    assert found is not None
    assert (found.group("person"), found.groupdict().get("camera")) == expected


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("{person}_c{camera}s*", "0002_x1s1"), ("a.{person}", "abbo"), ("cam{camera}/{person}", "x/cam7/anna")],
)
def test_pattern_takes_its_letters_as_written(pattern: str, name: str) -> None:
    assert compile_pattern(pattern).fullmatch(name) is None


@pytest.mark.parametrize("pattern", ["{camera}_*", "{person}_{person}", "{person}_{shelf}", "plain"])
def test_pattern_without_sense_is_refused(pattern: str) -> None:
    with pytest.raises(FolderError, match="pattern"):
        compile_pattern(pattern)


def test_file_that_does_not_match_the_pattern_is_named(tmp_path: Path) -> None:
    make(tmp_path, "1_c2.jpg", "odd.jpg")
    with pytest.raises(FolderError, match=r"1 pictures .*odd\.jpg"):
        read_folder(tmp_path, "{person}_c{camera}")


def test_manifest_gives_all_columns_their_place(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    manifest = tmp_path / "list.csv"
    manifest.write_text(
        "path,person,camera,time,client_id,shelf\n"
        "a.jpg,anna,c1,2026-11-20T12:00:00Z,first,left\n"
        "b.jpg,bo,,,,\n"
    )
    listed = read_manifest(manifest, tmp_path)
    first, second = listed.pictures
    assert listed.metadata == ("shelf",)
    assert (first.person, first.camera, first.client_id) == ("anna", "c1", "first")
    assert first.time == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert first.metadata == {"shelf": "left"}
    assert (second.camera, second.time, second.client_id, second.metadata) == (None, None, "b.jpg", None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("file,person\na.jpg,anna\n", "columns path and person"),
        ("path,person\n", "lists no pictures"),
        ("path,person\na.jpg,\n", "line 2: path and person"),
        ("path,person\na.jpg\n", "line 2: path and person"),
        ("path,person\na.jpg,anna,c1\n", "line 2: more values"),
        ("path,person\nmissing.jpg,anna\n", "line 2: there is no file"),
        ("path,person,time\na.jpg,anna,yesterday\n", "line 2"),
        ("path,person,time\na.jpg,anna,2026-11-20T12:00:00\n", "line 2.*time zone"),
        ("path,person,box\na.jpg,anna,1 2 3\n", "line 2: a box is x, y, width, height"),
        ("path,person,gate:=\na.jpg,anna,four\n", "line 2: gate:= takes JSON"),
        ("path,person,gate,gate:=\na.jpg,anna,a,4\n", "column gate twice"),
        ("path,person,box:=\na.jpg,anna,[]\n", "column box:= is no metadata"),
        ("path,person,\na.jpg,anna,x\n", "column 3 has no heading"),
        ('path,person\na.jpg,"anna\n', "cannot be read as CSV"),
    ],
)
def test_fault_in_a_manifest_is_told_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    make(tmp_path, "a.jpg")
    manifest = tmp_path / "list.csv"
    manifest.write_text(text)
    with pytest.raises(FolderError, match=fault):
        read_manifest(manifest, tmp_path)


def test_manifest_in_another_encoding_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_bytes("path,person\na.jpg,Jörg\n".encode("latin-1"))
    with pytest.raises(FolderError, match="UTF-8"):
        read_manifest(manifest, tmp_path)


def test_manifest_lists_several_people_of_a_frame_by_their_boxes(tmp_path: Path) -> None:
    make(tmp_path, "frame.jpg")
    manifest = tmp_path / "list.csv"
    manifest.write_text(
        "path,person,box,client_id\n"
        "frame.jpg,anna,1 2 3 4,\n"
        'frame.jpg,bo,"5,6,7,8",\n'
        'frame.jpg,cy,"[9, 10, 11, 12]",third\n'
        "frame.jpg,di,,\n"
    )
    found = read_manifest(manifest, tmp_path).pictures
    assert [one.box for one in found] == [(1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), None]
    assert [one.client_id for one in found] == [
        "frame.jpg#1,2,3,4",
        "frame.jpg#5,6,7,8",
        "third",
        "frame.jpg",
    ]
    assert all(one.metadata is None for one in found)


def test_manifest_tells_numbers_and_booleans_where_a_column_says_json(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "b.jpg")
    manifest = tmp_path / "list.csv"
    manifest.write_text('path,person,gate:=,open:=,shift,tags:=\na.jpg,anna,4,true,7,"[1]"\nb.jpg,bo,,,,\n')
    listed = read_manifest(manifest, tmp_path)
    assert [one.metadata for one in listed.pictures] == [
        {"gate": 4, "open": True, "shift": "7", "tags": [1]},
        None,
    ]
    assert listed.metadata == ("gate:=", "open:=", "shift", "tags:=")


def test_manifest_has_a_column_for_every_field_of_rest() -> None:
    assert set(COLUMNS) - {"path"} == set(Item.model_fields) - {"metadata"}


def test_what_is_hidden_is_nobodys_picture(tmp_path: Path) -> None:
    make(tmp_path, "anna/1.jpg", "anna/._1.jpg", ".thumbnails/anna.jpg", "anna/.cache/1.jpg")
    assert [one.client_id for one in read_folder(tmp_path)] == ["anna/1.jpg"]


def test_what_is_no_picture_by_its_name_is_counted(tmp_path: Path) -> None:
    make(
        tmp_path, "anna/1.jpg", "anna/2.HEIC", "bo/3.heic", "bo/notes", "bo/4.PNG", ".git/5.gif", "bo/.6.gif"
    )
    assert others(tmp_path) == {".heic": 2, "": 1}
    assert len(read_folder(tmp_path)) == 2


@pytest.mark.parametrize(
    "name", ["an\nna/1.jpg", "anna/1\t.jpg", "anna/\udcff.jpg", f"anna/{'x/' * 130}1.jpg"]
)
def test_a_name_that_the_service_does_not_take_is_told_with_its_file(tmp_path: Path, name: str) -> None:
    make(tmp_path, "anna/1.jpg", name)
    with pytest.raises(FolderError, match="cannot be a ") as refused:
        read_folder(tmp_path)
    told = str(refused.value)
    assert repr(name) in told or repr(name.split("/")[0]) in told
    told.encode()  # may be printed


def test_a_manifests_name_that_the_service_does_not_take_is_told_with_its_line(tmp_path: Path) -> None:
    make(tmp_path, "1.jpg")
    manifest = tmp_path / "m.csv"
    manifest.write_text('path,person\n1.jpg,anna\n1.jpg,"an\tna"\n')
    with pytest.raises(FolderError, match=r"line 3: 'an\\tna' cannot be a person"):
        read_manifest(manifest, tmp_path)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "[1, NaN]"])
def test_numbers_that_json_does_not_have_are_told_with_their_line(tmp_path: Path, number: str) -> None:
    make(tmp_path, "1.jpg")
    manifest = tmp_path / "m.csv"
    manifest.write_text(f'path,person,gate:=\n1.jpg,anna,"{number}"\n')
    with pytest.raises(FolderError, match="line 2: gate:= takes JSON"):
        read_manifest(manifest, tmp_path)
