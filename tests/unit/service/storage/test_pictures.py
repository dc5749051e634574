from __future__ import annotations

from pathlib import Path

import pytest

from service.storage.pictures import PictureStore
from service.storage.ulid import new_ulid


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


def test_dropping_a_gallery_leaves_the_others(url: str) -> None:
    store, id = PictureStore(url, "catalog"), new_ulid()
    store.write(1, id, b"one")
    store.write(11, id, b"eleven")
    store.drop(1)
    store.drop(1)
    assert store.read(11, id) == b"eleven"
    with pytest.raises(FileNotFoundError):
        store.read(1, id)


def test_a_sweep_removes_orphans_and_nothing_else(url: str) -> None:
    store, known, orphan = PictureStore(url, "catalog"), new_ulid(), new_ulid()
    other = PictureStore(url, "another catalog")
    store.write(1, known, b"known")
    store.write(1, orphan, b"orphan")
    store.write(2, known, b"the same id in another gallery")
    other.write(1, orphan, b"of another catalog")
    assert store.sweep({(1, known)}) == 2
    assert store.read(1, known) == b"known"
    assert other.read(1, orphan) == b"of another catalog"
    for gallery, id in ((1, orphan), (2, known)):
        with pytest.raises(FileNotFoundError):
            store.read(gallery, id)


def test_a_sweep_removes_half_written_files_and_leaves_foreign_ones(tmp_path: Path) -> None:
    store, id = PictureStore(tmp_path.as_uri(), "catalog"), new_ulid()
    store.write(1, id, b"known")
    foreign = tmp_path / "catalog" / "1" / "holiday.jpg"
    half_written = tmp_path / "catalog" / "1" / f"{new_ulid()}.picture.part"
    foreign.write_bytes(b"")
    half_written.write_bytes(b"")
    assert store.sweep({(1, id)}) == 1
    assert foreign.exists()
    assert not half_written.exists()


def test_a_sweep_before_anything_was_kept_does_nothing(url: str) -> None:
    assert PictureStore(url, "catalog").sweep(set()) == 0


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        PictureStore("nowhere://bucket", "catalog")
