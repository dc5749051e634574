from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.exc import OperationalError

from service.index.options import IndexOptions
from service.index.protocol import Entries
from service.problems import NotFollowed
from service.storage.database import CommitInDoubt
from tests.gallery_house import House, enrol, found, picture

PICTURES = [picture(f"p{number % 12}", 0, number) for number in range(90)]
QUERY = picture("p3", 0, 1000)


@pytest_asyncio.fixture
async def clustering(tmp_path: Path) -> AsyncIterator[House]:
    """Where every gallery is flat unless it says otherwise, and one that does is clustered soon."""
    made = House(tmp_path, IndexOptions(flat_up_to=None, share=0.01, least_clustered=40))
    await made.enter()
    yield made
    await made.leave()


async def test_a_gallery_is_clustered_and_flat_again_as_its_setting_says(clustering: House) -> None:
    house = clustering
    for name in ("shop", "reference"):
        await house.galleries.create(name, index="clustered" if name == "shop" else "auto")
        await enrol(house, *PICTURES, gallery=name)
    await asyncio.to_thread(house.index.settle)
    assert (await house.galleries.get("shop")).index == "clustered"
    assert (house.index.clustered(1) > 0, house.index.clustered(2)) == (True, 0)

    await house.leave()
    await house.enter()
    await asyncio.to_thread(house.index.settle)
    assert house.index.clustered(1) > 0

    changed = await house.galleries.change("shop", {"index": "flat"})
    assert (changed.index, changed.images, house.index.clustered(1)) == ("flat", 90, 0)
    reference = await found(house, QUERY, "reference")
    contents = {
        id: place
        for name in ("shop", "reference")
        for place, id in enumerate(one.id for one in (await house.galleries.pictures.list(name)).items)
    }
    assert [contents[id] for id in await found(house, QUERY)] == [contents[id] for id in reference]

    await house.galleries.change("shop", {"retention_days": 3})
    assert (await house.galleries.get("shop")).index == "flat"
    await house.galleries.change("shop", {"index": "clustered"})
    await asyncio.to_thread(house.index.settle)
    assert house.index.clustered(1) > 0


async def test_a_gallery_gets_its_kind_though_the_catalog_is_away_after_the_commit(
    clustering: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = clustering

    def away(*_: object) -> None:
        raise OperationalError("", {}, Exception("the connection was cut"))

    with monkeypatch.context() as patched:
        patched.setattr(house.catalog.galleries, "key", away)
        assert (await house.galleries.create("shop", index="clustered")).index == "clustered"
    await enrol(house, *PICTURES)
    await asyncio.to_thread(house.index.settle)
    assert house.index.clustered(1) > 0


async def test_pictures_erased_while_a_gallery_becomes_flat_do_not_come_back(clustering: House) -> None:
    house = clustering
    await house.galleries.create("shop", index="clustered")
    outcomes = await enrol(house, *PICTURES)
    await asyncio.to_thread(house.index.settle)
    gone = [str(one.id) for one in outcomes[::7]]
    await asyncio.gather(
        house.galleries.change("shop", {"index": "flat"}),
        *(house.galleries.erasure.picture("shop", id) for id in gone),
    )
    assert set(await found(house, QUERY)) == {str(one.id) for one in outcomes} - set(gone)
    assert house.index.clustered(1) == 0


async def test_a_gallery_becomes_flat_though_the_commit_of_that_ended_in_doubt(
    clustering: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = clustering
    await house.galleries.create("shop", index="clustered")
    await enrol(house, *PICTURES)
    await asyncio.to_thread(house.index.settle)
    assert house.index.clustered(1) > 0
    change = house.catalog.galleries.change

    def in_doubt(*arguments: Any) -> None:
        raise CommitInDoubt(change(*arguments))

    monkeypatch.setattr(house.catalog.galleries, "change", in_doubt)
    with pytest.raises(CommitInDoubt):
        await house.galleries.change("shop", {"index": "flat"})
    assert await house.galleries.mend() or await house.galleries.mend()  # the first leaves the cache's notes
    assert (await house.galleries.get("shop")).index == "flat"
    assert house.index.clustered(1) == 0
    assert sum(house.index.parts(1).values()) == len(PICTURES)


@pytest.mark.parametrize("refused", [1, 2])
async def test_a_gallery_that_could_not_become_flat_at_once_is_found_whole_soon(
    clustering: House, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    """The change is stored, and no picture may be missing for long because the memory for it was."""
    house = clustering
    monkeypatch.setattr("service.gallery.galleries.AT_ONCE", 30)
    await house.galleries.create("shop", index="clustered")
    await enrol(house, *PICTURES)
    await asyncio.to_thread(house.index.settle)
    add, calls = house.index.add, 0

    def add_sometimes(gallery: int, entries: Entries) -> None:
        nonlocal calls
        calls += 1
        if calls == refused:
            raise MemoryError
        add(gallery, entries)

    monkeypatch.setattr(house.index, "add", add_sometimes)
    with pytest.raises(NotFollowed):
        await house.galleries.change("shop", {"index": "flat"})
    assert not await house.galleries.mend() or await house.galleries.mend()
    await asyncio.to_thread(house.index.settle)
    assert not house.galleries.behind
    assert (await house.galleries.get("shop")).index == "flat"
    assert house.index.clustered(1) == 0
    assert sum(house.index.parts(1).values()) == len(PICTURES)


async def test_a_stop_does_not_wait_until_a_gallery_is_flat_and_the_next_start_makes_it_so(
    clustering: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = clustering
    monkeypatch.setattr("service.gallery.galleries.AT_ONCE", 30)
    await house.galleries.create("shop", index="clustered")
    outcomes = await enrol(house, *PICTURES)
    await asyncio.to_thread(house.index.settle)
    add, calls = house.index.add, 0
    reached, go_on = threading.Event(), threading.Event()

    def add_slowly(gallery: int, entries: Entries) -> None:
        nonlocal calls
        calls += 1
        reached.set()
        assert go_on.wait(60)
        add(gallery, entries)

    monkeypatch.setattr(house.index, "add", add_slowly)
    changing = asyncio.create_task(house.galleries.change("shop", {"index": "flat"}))
    await asyncio.to_thread(reached.wait, 60)
    closing = asyncio.create_task(house.galleries.close())
    await asyncio.sleep(0)
    go_on.set()
    assert (await changing).index == "flat"
    await closing
    assert calls == 1

    await house.leave()
    await house.enter()
    await asyncio.to_thread(house.index.settle)
    assert house.index.clustered(1) == 0
    assert set(await found(house, QUERY)) == {str(one.id) for one in outcomes}
