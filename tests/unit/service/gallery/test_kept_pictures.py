from __future__ import annotations

import threading

import pytest

from service.gallery import enrolment
from tests.gallery_house import CROWD, House, enrol, fail_once, item, picture


async def test_a_gallery_that_stops_keeping_pictures_leaves_none_behind(house: House) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    await enrol(house, picture("p1", 0, 0), gallery="archive")
    changed = await house.galleries.change("archive", {"keep_pictures": False})
    assert (changed.keep_pictures, changed.images) == (False, 1)
    await enrol(house, picture("p2", 0, 0), gallery="archive")
    assert len(house.files()) == 1
    await house.galleries.erasure.gallery("archive")
    assert house.files() == []


async def test_pictures_are_kept_only_where_the_gallery_says_so(house: House) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    await enrol(house, picture("p1", 0, 1))
    assert house.files() == []
    (kept,) = await enrol(house, picture("p1", 0, 1), gallery="archive")
    (file,) = house.files()
    assert file.read_bytes() == picture("p1", 0, 1)
    assert file.stem == kept.id
    await house.galleries.erasure.picture("archive", str(kept.id))
    assert house.files() == []
    await enrol(house, *CROWD, gallery="archive")
    await house.galleries.erasure.gallery("archive")
    assert house.files() == []


async def test_a_picture_that_was_not_enrolled_leaves_no_file(house: House) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    content = picture("p1", 0, 1)
    await house.galleries.enrolment.enrol("archive", [item(content, "x")])
    await house.galleries.enrolment.enrol("archive", [item(content, "x"), item(picture("p1", 0, 2), "x")])
    assert [file.read_bytes() for file in house.files()] == [content]


async def test_a_start_removes_the_files_of_what_was_never_committed(house: House) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    (kept,) = await enrol(house, picture("p1", 0, 1), gallery="archive")
    house.pictures.write(house.catalog.galleries.key("archive").number, "0" * 26, b"orphan")
    await house.leave()
    await house.enter()
    assert [file.stem for file in house.files()] == [kept.id]


async def test_a_full_disk_enrols_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.galleries.create("archive", keep_pictures=True)
    write = house.pictures.write
    calls = threading.Semaphore(1)

    def fail_on_second(gallery: int, image: str, content: bytes) -> None:
        if not calls.acquire(blocking=False):
            raise OSError(28, "No space left on device")
        write(gallery, image, content)

    monkeypatch.setattr(house.pictures, "write", fail_on_second)
    with pytest.raises(OSError, match="No space"):
        await enrol(house, picture("p1", 0, 1), picture("p1", 0, 2), gallery="archive")
    assert house.files() == []
    assert (await house.galleries.get("archive")).images == 0


@pytest.mark.parametrize("where", ["thumbnail", "file", "catalog"])
async def test_a_fault_that_nobody_foresaw_leaves_no_file_until_the_next_start(
    house: House, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Such as for want of memory, while a thumbnail is made."""
    await house.galleries.create("archive", keep_pictures=True)
    (kept,) = await enrol(house, picture("p1", 0, 0), gallery="archive")
    part, call = {
        "thumbnail": (enrolment, "keep_thumbnail"),
        "file": (house.pictures, "write"),
        "catalog": (house.catalog.pictures, "enrol"),
    }[where]
    fail_once(monkeypatch, part, call)
    with pytest.raises(MemoryError):
        await enrol(house, picture("p1", 0, 1), picture("p1", 0, 2), gallery="archive")
    assert await house.galleries.mend()
    assert [file.stem for file in house.files()] == [kept.id]
    assert (await house.galleries.get("archive")).images == 1
