"""The feature cache forgets what was erased, whoever asks at the same moment and however often it is away."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Collection, Sequence

import pytest

from service.problems import UnknownGallery
from service.storage.records import ErasedFeatures
from tests.gallery_house import MODEL, NEXT_MODEL, House, enrol, item, picture


async def test_a_cache_that_is_away_for_one_erasure_is_owed_though_another_ends_well(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first finds no notes; before it says so, somebody is erased and the cache is away."""
    forgetting, erased = house.galleries._parts.forgetting, house.catalog.erased
    noted, looked, go = erased.noted, threading.Event(), threading.Event()

    def slowly(limit: int, after: int = 0) -> Sequence[ErasedFeatures]:
        found = noted(limit, after)
        if not looked.is_set():
            looked.set()
            assert go.wait(20)
        return found

    async def away(_: Collection[tuple[str, str]]) -> bool:
        return False

    monkeypatch.setattr(erased, "noted", slowly)
    monkeypatch.setattr(house.embedder, "forget", away)
    first = asyncio.create_task(forgetting.forget())
    await asyncio.to_thread(looked.wait, 20)
    erased.note([(MODEL, "0" * 64)])
    second = asyncio.create_task(forgetting.forget())
    await asyncio.sleep(0.1)
    go.set()
    await asyncio.gather(first, second)
    assert forgetting.owed
    monkeypatch.undo()
    assert await house.galleries.mend()
    assert house.embedder.forgotten == {(MODEL, "0" * 64)}
    assert not forgetting.owed


async def test_one_that_is_broken_off_is_owed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    forgetting = house.galleries._parts.forgetting
    await forgetting.forget()
    assert not forgetting.owed
    asked = asyncio.Event()

    async def hang(_: Collection[tuple[str, str]]) -> bool:
        asked.set()
        await asyncio.sleep(60)
        return True

    monkeypatch.setattr(house.embedder, "forget", hang)
    house.catalog.erased.note([(MODEL, "0" * 64)])
    task = asyncio.create_task(forgetting.forget())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert forgetting.owed


async def test_what_was_embedded_and_not_enrolled_is_forgotten(house: House) -> None:
    """No erasure names it: the catalog does not know it."""
    known, refused, late = picture("p1", 0, 1), picture("p2", 0, 2), picture("p3", 0, 3)
    await house.galleries.enrolment.enrol("shop", [item(known, "x")])
    await house.galleries.enrolment.enrol("shop", [item(refused, "x")])
    assert house.embedder.forgotten == {(MODEL, hashlib.sha256(refused).hexdigest())}
    house.embedder.before_answer = asyncio.Event()
    house.embedder.reached.clear()
    enrolling = asyncio.create_task(enrol(house, late))
    await house.embedder.reached.wait()
    await house.galleries.erasure.gallery("shop")
    house.embedder.before_answer.set()
    with pytest.raises(UnknownGallery):
        await enrolling
    assert (MODEL, hashlib.sha256(late).hexdigest()) in house.embedder.forgotten
    assert house.catalog.erased.noted(10) == []


async def test_what_the_model_before_made_of_a_picture_is_forgotten_when_it_is_enrolled_again(
    house: House,
) -> None:
    """Its row then names the present model alone, and so would an erasure."""
    content = picture("p1", 0, 1)
    await house.galleries.enrolment.enrol("shop", [item(content, "x")])
    await house.leave()
    house.embedder.fingerprint = NEXT_MODEL
    await house.enter()
    assert await house.galleries.mend()
    assert house.embedder.forgotten == set()
    await house.galleries.enrolment.enrol("shop", [item(content, "x")])
    assert await house.galleries.mend()
    assert (MODEL, hashlib.sha256(content).hexdigest()) in house.embedder.forgotten
