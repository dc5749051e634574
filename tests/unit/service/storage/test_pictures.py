from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from service.storage.pictures import KeptBytes, PictureStore, PictureStoreAway
from service.storage.store_mark import NAME, Unnoted
from service.storage.ulid import new_ulid


def files(folder: Path) -> list[str]:
    """Names of those that are somebody's: the store's mark is nobody's."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != NAME)


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (tmp_path / "pictures").as_uri() if request.param == "folder" else f"memory://{tmp_path.name}"


def test_a_kept_picture_is_read_back_until_it_is_removed(url: str) -> None:
    store, id = PictureStore(url, "catalog"), new_ulid()
    store.write(1, id, b"bytes")
    assert store.read(1, id) == b"bytes"
    store.remove(1, id)
    store.remove(1, id)
    with pytest.raises(FileNotFoundError):
        store.read(1, id)


def test_a_thumbnail_goes_with_its_picture(url: str) -> None:
    store, id = PictureStore(url, "catalog"), new_ulid()
    assert store.read_thumbnail(1, id) is None
    store.write(1, id, b"bytes")
    store.write_thumbnail(1, id, b"few")
    assert store.read_thumbnail(1, id) == b"few"
    store.remove(1, id)
    assert store.read_thumbnail(1, id) is None
    assert store.sweep(set) == 0  # nothing is left to be swept


def test_sizes_are_those_of_one_gallerys_files(url: str) -> None:
    store, one, two = PictureStore(url, "catalog"), new_ulid(), new_ulid()
    assert store.sizes(1) == KeptBytes(0, 0)
    store.write(1, one, b"12345")
    store.write(1, two, b"123")
    store.write_thumbnail(1, one, b"12")
    store.write(11, one, b"of another gallery")
    assert store.sizes(1) == KeptBytes(8, 2)
    store.remove(1, one)
    assert store.sizes(1) == KeptBytes(3, 0)


def test_a_thumbnail_that_a_power_cut_left_empty_is_none(url: str) -> None:
    store, id = PictureStore(url, "catalog"), new_ulid()
    store.write_thumbnail(1, id, b"")
    assert store.read_thumbnail(1, id) is None


def test_dropping_a_gallery_leaves_the_others(url: str) -> None:
    store, id = PictureStore(url, "catalog"), new_ulid()
    store.write(1, id, b"one")
    store.write_thumbnail(1, id, b"small")
    store.write(11, id, b"eleven")
    store.drop(1)
    store.drop(1)
    assert store.read(11, id) == b"eleven"
    assert store.read_thumbnail(1, id) is None
    with pytest.raises(FileNotFoundError):
        store.read(1, id)


def test_dropping_a_gallery_goes_on_where_a_file_goes_under_its_hands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an enrolment that the deletion overtook takes its files back at the same time."""
    store, ids = PictureStore(tmp_path.as_uri(), "catalog"), [new_ulid() for _ in range(20)]
    for id in ids:
        store.write(1, id, b"somebody")
    unlink, gone = os.unlink, 0

    def somebody_is_faster(path: str, *, dir_fd: int | None = None) -> None:
        nonlocal gone
        unlink(path, dir_fd=dir_fd)
        gone += 1
        if gone % 2:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    monkeypatch.setattr(os, "unlink", somebody_is_faster)
    store.drop(1)
    assert gone == 20
    assert [path.name for path in (tmp_path / "catalog").iterdir()] == [NAME]


def test_a_file_that_is_written_while_its_gallery_is_dropped_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked for the drop asks again: the enrolment may have been given up before it took that back."""
    store, first, late = PictureStore(tmp_path.as_uri(), "catalog"), new_ulid(), new_ulid()
    store.write(1, first, b"somebody")
    unlink = os.unlink

    def then_one_comes(path: str, *, dir_fd: int | None = None) -> None:
        unlink(path, dir_fd=dir_fd)
        monkeypatch.undo()
        store.write(1, late, b"somebody")

    monkeypatch.setattr(os, "unlink", then_one_comes)
    with pytest.raises(PictureStoreAway):
        store.drop(1)
    store.drop(1)
    assert [path.name for path in (tmp_path / "catalog").iterdir()] == [NAME]


def test_object_storage_that_leaves_files_of_a_dropped_gallery_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, id = PictureStore(f"memory://{tmp_path.name}", "catalog"), new_ulid()
    store.write(1, id, b"somebody")

    def gone(path: str, **_: Any) -> None:
        raise FileNotFoundError(path)

    with monkeypatch.context() as faster:
        faster.setattr(store._files, "rm", gone)
        with pytest.raises(PictureStoreAway, match="1 files"):
            store.drop(1)
    store.drop(1)
    with pytest.raises(FileNotFoundError):
        store.read(1, id)


def test_a_sweep_removes_orphans_and_nothing_else(url: str) -> None:
    store, known, orphan = PictureStore(url, "catalog"), new_ulid(), new_ulid()
    other = PictureStore(url, "another catalog")
    store.write(1, known, b"known")
    store.write(1, orphan, b"orphan")
    store.write_thumbnail(1, orphan, b"its thumbnail")
    store.write(2, known, b"the same id in another gallery")
    other.write(1, orphan, b"of another catalog")
    assert store.sweep(lambda: {(1, known)}) == 3
    assert store.read(1, known) == b"known"
    assert other.read(1, orphan) == b"of another catalog"
    for gallery, id in ((1, orphan), (2, known)):
        with pytest.raises(FileNotFoundError):
            store.read(gallery, id)


def test_a_sweep_leaves_what_is_written_after_it_has_looked(url: str) -> None:
    """As another service does that has taken the catalog over: it commits to its picture later."""
    store, orphan, late = PictureStore(url, "catalog"), new_ulid(), new_ulid()
    store.write(1, orphan, b"orphan")

    def known() -> set[tuple[int, str]]:
        store.write(1, late, b"late")
        return set()

    assert store.sweep(known) == 1
    assert store.read(1, late) == b"late"


def test_a_sweep_goes_on_where_a_file_goes_under_its_hands(tmp_path: Path) -> None:
    store, ids = PictureStore(tmp_path.as_uri(), "catalog"), [new_ulid() for _ in range(3)]
    for id in ids:
        store.write(1, id, b"orphan")

    def known() -> set[tuple[int, str]]:
        store.remove(1, ids[1])
        return set()

    assert store.sweep(known) == 2
    assert files(tmp_path) == []


def test_a_sweep_removes_half_written_files_and_leaves_foreign_ones(tmp_path: Path) -> None:
    store, id = PictureStore(tmp_path.as_uri(), "catalog"), new_ulid()
    store.write(1, id, b"known")
    foreign = tmp_path / "catalog" / "1" / "holiday.jpg"
    half_written = tmp_path / "catalog" / "1" / f"{new_ulid()}.thumbnail.part"
    foreign.write_bytes(b"")
    half_written.write_bytes(b"")
    assert store.sweep(lambda: {(1, id)}) == 1
    assert foreign.exists()
    assert not half_written.exists()


def test_removing_takes_what_was_begun_and_could_not_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, id = PictureStore(tmp_path.as_uri(), "catalog"), new_ulid()
    store.write(1, id, b"somebody")
    store.remove(1, id)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "the disk has turned read-only")

    with monkeypatch.context() as turned:
        turned.setattr(Path, "replace", refuse)
        turned.setattr(Path, "unlink", refuse)
        with pytest.raises(PictureStoreAway):
            store.write(1, id, b"somebody")
    assert files(tmp_path) == [f"{id}.picture.part"]
    store.remove(1, id)
    assert files(tmp_path) == []


def test_a_sweep_before_anything_was_kept_does_nothing(url: str) -> None:
    assert PictureStore(url, "catalog").sweep(set) == 0


def test_another_store_is_not_taken_for_the_one_that_has_the_pictures(url: str, tmp_path: Path) -> None:
    noted, id = Unnoted(), new_ulid()
    store = PictureStore(url, "catalog", noted)
    store.write(1, id, b"bytes")
    for elsewhere in ((tmp_path / "elsewhere").as_uri(), f"memory://{tmp_path.name}-elsewhere"):
        other = PictureStore(elsewhere, "catalog", noted)
        for ask in (
            lambda store: store.look(),
            lambda store: store.read(1, id),
            lambda store: store.write(1, new_ulid(), b"bytes"),
            lambda store: store.remove(1, id),
            lambda store: store.remove_thumbnail(1, id),
            lambda store: store.drop(1),
            lambda store: store.sizes(1),
            lambda store: store.sweep(set),
        ):
            with pytest.raises(PictureStoreAway):
                ask(other)
        assert other.unswept
    assert not (tmp_path / "elsewhere").exists()
    assert store.read(1, id) == b"bytes"


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        PictureStore("nowhere://bucket", "catalog")
