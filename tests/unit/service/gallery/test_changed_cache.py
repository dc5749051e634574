"""Notes of what was erased wait for the cache that may hold it, though the service runs without it."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert

from service import clock
from service.storage.cache import SharedCache
from service.storage.tables import ErasedRow
from tests.gallery_house import MODEL, House, enrol, picture

REDIS, ANOTHER = SharedCache("1" * 64, 3600), SharedCache("2" * 64, 3600)
ONE, TWO = picture("p1", 0, 1), picture("p2", 0, 2)


def name(content: bytes) -> tuple[str, str]:
    return MODEL, hashlib.sha256(content).hexdigest()


def noted(house: House) -> set[tuple[str, str]]:
    return {(note.fingerprint, note.digest) for note in house.catalog.erased.noted(100)}


async def restart(house: House, cache: SharedCache | None) -> None:
    await house.leave()
    house.shared_cache = cache
    house.embedder.forgotten.clear()
    await house.enter()


async def erase(house: House, person: str) -> None:
    await house.galleries.erasure.person("shop", person)


@pytest.fixture
def days_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def later() -> datetime:
        return clock.now() + timedelta(days=1)

    monkeypatch.setattr("service.storage.catalog.caches.now", later)
    monkeypatch.setattr("service.gallery.forgetting.now", later)


@pytest.mark.parametrize("between", [None, ANOTHER])
@pytest.mark.parametrize("erased_before", [True, False])
async def test_what_one_cache_has_to_forget_no_other_confirms(
    house: House, monkeypatch: pytest.MonkeyPatch, between: SharedCache | None, erased_before: bool
) -> None:
    await restart(house, REDIS)
    await enrol(house, ONE)
    if erased_before:

        async def away(_: object) -> bool:
            return False

        with monkeypatch.context() as frozen:
            frozen.setattr(house.embedder, "forget", away)
            await erase(house, "p1")
    await restart(house, between)
    if not erased_before:
        await erase(house, "p1")
    assert await house.galleries.mend()
    assert not house.galleries._parts.forgetting.owed, "nothing can be done, so nothing is owed"
    assert house.embedder.forgotten == {name(ONE)}, "what this process had itself"
    assert noted(house) == {name(ONE)}
    await restart(house, REDIS)
    assert await house.galleries.mend()
    assert house.embedder.forgotten == {name(ONE)}
    assert noted(house) == (set() if between is None else {name(ONE)})


async def test_with_one_cache_alone_nothing_stays_noted(house: House) -> None:
    for cache in (None, REDIS):
        if cache is not None:
            await restart(house, cache)
        await enrol(house, ONE)
        await erase(house, "p1")
        assert noted(house) == set()


async def test_notes_go_when_all_that_was_in_the_cache_has_expired(house: House, days_pass: None) -> None:
    """Though nobody erases anybody any more."""
    with pytest.MonkeyPatch.context() as today:
        for module in ("service.storage.catalog.caches", "service.gallery.forgetting"):
            today.setattr(f"{module}.now", clock.now)
        await restart(house, REDIS)
        await enrol(house, ONE, TWO)
        await restart(house, None)
        await erase(house, "p1")
        assert await house.galleries.mend()
        assert noted(house) == {name(ONE)}
    assert await house.galleries.mend()
    assert noted(house) == {name(ONE)}, "there is a look now and then"
    house.galleries._parts.forgetting._look_again_at = 0.0
    assert await house.galleries.mend()
    assert noted(house) == set()
    await erase(house, "p2")
    assert noted(house) == set()


async def test_what_is_left_for_another_cache_is_worked_off_here_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await restart(house, REDIS)
    await enrol(house, ONE, TWO)
    await restart(house, ANOTHER)
    await erase(house, "p1")
    house.embedder.forgotten.clear()
    await erase(house, "p2")
    assert house.embedder.forgotten == {name(TWO)}
    assert noted(house) == {name(ONE), name(TWO)}


async def test_a_commit_that_was_in_doubt_is_looked_for_behind_what_was_worked_off(house: House) -> None:
    await restart(house, REDIS)
    await restart(house, None)
    forgetting = house.galleries._parts.forgetting

    def note(number: int) -> None:
        row = insert(ErasedRow).values(number=number, fingerprint=MODEL, digest=f"{number}")
        house.catalog.database.transact(lambda session: session.execute(row))

    note(8)
    await forgetting.forget()
    note(7)
    forgetting.begin_again()
    assert await house.galleries.mend()
    assert (MODEL, "7") in house.embedder.forgotten
