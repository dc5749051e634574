"""Whose picture is whose: folders, naming patterns, manifests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.folder import FolderError, compile_pattern, read_folder, read_manifest


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
    first, second = read_manifest(manifest, tmp_path)
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
    ],
)
def test_fault_in_a_manifest_is_told_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    make(tmp_path, "a.jpg")
    manifest = tmp_path / "list.csv"
    manifest.write_text(text)
    with pytest.raises(FolderError, match=fault):
        read_manifest(manifest, tmp_path)
