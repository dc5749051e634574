from __future__ import annotations

import asyncio
import threading

import pytest

from service.gallery import QueryOptions
from service.index.protocol import Entries
from service.problems import (
    NotFollowed,
    UnknownGallery,
    UnknownImage,
)
from tests.gallery_house import CROWD, House, enrol, fail_once, found, picture


async def test_a_deleted_picture_is_not_found_again(house: House) -> None:
    first, second = await enrol(house, picture("p1", 4, 1), picture("p1", 4, 2))
    await house.galleries.erasure.picture("shop", str(first.id))
    assert await found(house, picture("p1", 4, 1)) == [second.id]
    with pytest.raises(UnknownImage):
        await house.galleries.erasure.picture("shop", str(first.id))
    await house.leave()
    await house.enter()
    assert await found(house, picture("p1", 4, 1)) == [second.id]


@pytest.mark.parametrize("erased", ["picture", "person"])
async def test_what_the_index_could_not_erase_after_the_commit_is_erased_before_anything_is_written(
    house: House, monkeypatch: pytest.MonkeyPatch, erased: str
) -> None:
    await house.galleries.create("keeping", keep_pictures=True)
    gone, left = await enrol(house, picture("p1", 0, 1), picture("p2", 0, 2), gallery="keeping")
    fail_once(monkeypatch, house.index, "remove")
    erasure = house.galleries.erasure
    erasing = (
        erasure.picture("keeping", str(gone.id)) if erased == "picture" else erasure.person("keeping", "p1")
    )
    with pytest.raises(NotFollowed):
        await erasing
    await house.galleries.create("afterwards")
    assert house.index.parts(2) == {0: 1}
    assert await found(house, picture("p1", 0, 1), "keeping") == [left.id]
    assert len(house.files()) == 1
    assert await house.galleries.mend()
    assert len(house.embedder.forgotten) == 1


async def test_a_picture_deleted_between_index_and_catalog_leaves_its_place_to_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = await enrol(house, *(picture("p1", 0, number) for number in range(5)))
    ranked = await found(house, picture("p1", 0, 9))
    # the catalog has forgotten the two best; the index is about to follow
    house.catalog.pictures.delete("shop", ranked[0])
    house.catalog.pictures.delete("shop", ranked[1])
    assert await found(house, picture("p1", 0, 9), top_k=2) == ranked[2:4]
    assert len(outcomes) == 5


async def test_a_delete_between_commit_and_index_leaves_no_ghost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, committed, deleted = house.index.add, threading.Event(), threading.Event()

    def add_late(gallery: int, entries: Entries) -> None:
        committed.set()
        deleted.wait(0.3)  # long enough for a delete that nothing holds back
        add(gallery, entries)

    monkeypatch.setattr(house.index, "add", add_late)
    enrolling = asyncio.create_task(enrol(house, picture("p1", 0, 1)))
    await asyncio.to_thread(committed.wait, 30)
    (image,) = house.catalog.pictures.shown(1, range(1, 10)).values()
    await house.galleries.erasure.picture("shop", image.id)
    deleted.set()
    await enrolling
    assert house.index.parts(1) == {}


async def test_a_gallery_deleted_while_a_query_runs_is_unknown(house: House) -> None:
    await enrol(house, *CROWD)
    house.embedder.before_answer = asyncio.Event()
    house.embedder.reached.clear()
    query = asyncio.create_task(house.galleries.queries.answer("shop", [CROWD[0]], QueryOptions()))
    await house.embedder.reached.wait()
    await house.galleries.erasure.gallery("shop")
    house.embedder.before_answer.set()
    with pytest.raises(UnknownGallery):
        await query


async def test_a_gallery_deleted_while_pictures_are_enrolled_gets_none_of_them(house: House) -> None:
    house.embedder.before_answer = asyncio.Event()
    house.embedder.reached.clear()
    enrolling = asyncio.create_task(enrol(house, picture("p1", 0, 1)))
    await house.embedder.reached.wait()
    await house.galleries.erasure.gallery("shop")
    await house.galleries.create("shop")
    house.embedder.before_answer.set()
    with pytest.raises(UnknownGallery):
        await enrolling
    assert (await house.galleries.get("shop")).images == 0


async def test_deletes_enrolments_and_queries_at_once_never_fail_or_show_the_deleted(house: House) -> None:
    stop = asyncio.Event()
    deleted: set[str] = set()

    async def query() -> None:
        while not stop.is_set():
            gone_before = set(deleted)
            shown = await found(house, CROWD[2])
            assert not gone_before & set(shown)
            assert len(shown) == len(set(shown))

    async def churn(start: int) -> None:
        for content in CROWD[start::3]:
            (outcome,) = await enrol(house, content)
            assert outcome.id in await found(house, content)
            await house.galleries.erasure.picture("shop", str(outcome.id))
            deleted.add(str(outcome.id))

    asking = [asyncio.create_task(query()) for _ in range(3)]
    await asyncio.gather(*(churn(start) for start in range(3)))
    stop.set()
    await asyncio.gather(*asking)
    assert house.index.parts(1) == {}
    record = await house.galleries.get("shop")
    assert (record.images, record.people) == (0, 0)
