"""A picture store that is away: what is erased then goes when it is back, and nothing is kept elsewhere."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from sqlalchemy import delete

from service.storage.fence import ClaimLost
from service.storage.pictures import PictureStoreAway
from service.storage.store_mark import NAME
from service.storage.tables import AboutRow
from tests.gallery_house import House, enrol, picture

ONE, TWO, THREE = picture("p1", 0, 1), picture("p2", 0, 2), picture("p3", 0, 3)


class Mount:
    """The store's folder, which goes and comes back; an empty mount point may lie in its place."""

    def __init__(self, house: House, leaves_a_folder: bool) -> None:
        self._there, self._aside = house.folder / "pictures", house.folder / "elsewhere"
        self._leaves_a_folder = leaves_a_folder

    def goes(self) -> None:
        self._there.rename(self._aside)
        if self._leaves_a_folder:
            self._there.mkdir()

    def comes_back(self) -> None:
        if self._leaves_a_folder:
            self._there.rmdir()  # nothing was written under it
        self._aside.rename(self._there)


@pytest.fixture(params=[False, True], ids=["without a folder", "empty mount point"])
def mount(request: pytest.FixtureRequest, house: House) -> Mount:
    return Mount(house, request.param)


async def restart(house: House) -> None:
    await house.leave()
    await house.enter()


async def keeping(house: House) -> list[str]:
    """Three people in a gallery that keeps pictures, and a gallery of one more."""
    await house.galleries.create("archive", keep_pictures=True)
    await house.galleries.create("other", keep_pictures=True)
    await enrol(house, THREE, gallery="other")
    outcomes = await enrol(house, ONE, TWO, THREE, gallery="archive")
    return [str(outcome.id) for outcome in outcomes]


async def test_what_is_erased_while_the_store_is_away_goes_when_it_is_back(
    house: House, mount: Mount
) -> None:
    ids = await keeping(house)
    mount.goes()
    await house.galleries.erasure.person("archive", "p1")
    await house.galleries.erasure.picture("archive", ids[1])
    await house.galleries.erasure.gallery("other")
    assert house.galleries.pictures_owed
    assert not await house.galleries.mend()
    mount.comes_back()
    assert len(house.files()) == 4
    assert await house.galleries.mend()
    assert not house.galleries.pictures_owed
    assert [file.stem for file in house.files()] == [ids[2]]


@pytest.mark.parametrize("starts", [1, 2])
async def test_it_goes_too_where_the_process_ended_before_the_store_was_back(
    house: House, mount: Mount, starts: int
) -> None:
    ids = await keeping(house)
    mount.goes()
    await house.galleries.erasure.person("archive", "p1")
    for _ in range(starts):
        await restart(house)
        assert house.galleries.pictures_owed
    await house.galleries.erasure.gallery("other")
    assert not await house.galleries.mend()
    mount.comes_back()
    assert await house.galleries.mend()
    assert [file.stem for file in house.files()] == sorted(ids[1:])


async def test_nothing_is_kept_in_the_place_of_a_store_that_is_away(house: House, mount: Mount) -> None:
    await keeping(house)
    before = await house.galleries.get("archive")
    mount.goes()
    for restarted in (False, True):
        if restarted:
            await restart(house)
        with pytest.raises(PictureStoreAway):
            await enrol(house, picture("p4", 0, 4), gallery="archive")
        assert house.files(), "those that were moved aside"
        assert not any((house.folder / "pictures").rglob("*"))
        assert await house.galleries.get("archive") == before
        assert house.galleries.pictures_owed == restarted
    mount.comes_back()
    with pytest.raises(PictureStoreAway):  # a sweep would take it for an orphan
        await enrol(house, picture("p4", 0, 4), gallery="archive")
    assert await house.galleries.mend()
    (outcome,) = await enrol(house, picture("p4", 0, 4), gallery="archive")
    assert str(outcome.id) in {file.stem for file in house.files()}


async def test_galleries_that_keep_nothing_do_not_need_the_store(house: House, mount: Mount) -> None:
    await keeping(house)
    mount.goes()
    await enrol(house, ONE)
    await house.galleries.erasure.person("shop", "p1")
    assert not house.galleries.pictures_owed


async def test_a_start_without_the_store_warns_and_says_what_to_do(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await keeping(house)
    await house.leave()
    (house.folder / "pictures").rename(house.folder / "elsewhere")
    with caplog.at_level(logging.WARNING):
        await house.enter()
    assert NAME in caplog.text
    assert "PENUMBRA_PICTURES_URL" in caplog.text
    # The pictures are lost for good, and whoever knows says so.
    mark = mark_of(house)
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert await house.galleries.mend()
    await enrol(house, picture("p4", 0, 4), gallery="archive")


def mark_of(house: House) -> Path:
    return house.folder / "pictures" / house.catalog.id / NAME


def forget_marks(house: House) -> None:
    """As it is where a service from before there were marks has kept pictures."""
    mark_of(house).unlink()
    note = delete(AboutRow).where(AboutRow.key == "pictures")
    house.catalog.database.transact(lambda session: session.execute(note))


async def test_a_store_from_before_there_were_marks_is_marked_by_the_next_start(
    house: House, mount: Mount
) -> None:
    await keeping(house)
    forget_marks(house)
    await restart(house)
    assert mark_of(house).exists()
    mount.goes()
    with pytest.raises(PictureStoreAway):
        await enrol(house, picture("p4", 0, 4), gallery="archive")


async def test_one_that_is_away_then_is_waited_for_though_nothing_is_kept_any_more(
    house: House, mount: Mount
) -> None:
    await keeping(house)
    forget_marks(house)
    mount.goes()
    await restart(house)
    assert house.galleries.pictures_owed
    for gallery in ("archive", "other"):
        await house.galleries.erasure.gallery(gallery)
    await restart(house)
    assert house.galleries.pictures_owed
    mount.comes_back()
    assert await house.galleries.mend()
    assert house.files() == []
    assert mark_of(house).exists()


async def test_a_mark_that_could_not_be_noted_is_noted_by_the_next_picture(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: str) -> None:
        raise ClaimLost

    await house.galleries.create("archive", keep_pictures=True)
    with monkeypatch.context() as broken:
        broken.setattr(house.catalog.about, "set", away)
        with pytest.raises(ClaimLost):
            await enrol(house, ONE, gallery="archive")
    assert house.catalog.about.get("pictures") is None
    await restart(house)
    assert house.catalog.about.get("pictures") is not None
    await enrol(house, ONE, gallery="archive")
    assert len(house.files()) == 1


async def test_one_file_that_cannot_be_removed_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await keeping(house)
    remove = house.pictures._files.rm_file

    def refuse(path: str) -> None:
        if refused in path:
            raise PermissionError(1, "Operation not permitted")
        remove(path)

    refused = ""  # all of them
    monkeypatch.setattr(house.pictures._files, "rm_file", refuse)
    await house.galleries.erasure.gallery("shop")
    for person in ("p1", "p2"):
        await house.galleries.erasure.person("archive", person)
    refused = ids[0]
    assert not await house.galleries.mend()
    assert ids[1] not in {file.stem for file in house.files()}
    refused = "nobody"
    assert await house.galleries.mend()
    assert ids[0] not in {file.stem for file in house.files()}
