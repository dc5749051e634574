"""The sweep: what cannot be erased now is in nobody else's way, and is tried again soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from service import retention
from service.problems import DeadlineExceeded
from service.retention import Sweeper, Swept
from service.storage.audit import AuditTrail, Event
from service.storage.database import CommitInDoubt
from service.storage.tables import ImageRow
from tests.gallery_house import House, enrol, fail_once, found, picture

PICTURES = [picture(f"p{number % 3}", 0, number) for number in range(10)]


@pytest_asyncio.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """Two galleries of ten pictures each, all past their retention, erased four at a time."""
    monkeypatch.setattr(retention, "_AT_ONCE", 4)
    made = House(tmp_path)
    await made.enter()
    for name in ("one", "other"):
        await made.galleries.create(name, keep_pictures=True, retention_days=30)
        await enrol(made, *PICTURES, gallery=name)
    then = datetime.now(UTC) - timedelta(days=31)
    made.catalog.database.transact(lambda session: session.execute(update(ImageRow).values(enrolled_at=then)))
    yield made
    await made.leave()


def sweeper_of(house: House, trail: AuditTrail | None = None, **pauses: float) -> Sweeper:
    return Sweeper(house.catalog, house.galleries, trail, 365, **pauses)


def lines(trail: AuditTrail) -> list[tuple[str, str | None, str | None, int]]:
    return [(line.action, line.gallery, line.subject, line.status) for line in _all(trail)]


def _all(trail: AuditTrail) -> Sequence[Event]:
    return [event for event, _ in trail._waiting]


async def test_all_of_a_gallery_goes_in_few_steps_with_a_line_for_each(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = AuditTrail(house.catalog.database)
    ids = [one.id for one in (await house.galleries.pictures.list("one")).items]
    steps: list[int] = []
    delete_some = house.catalog.pictures.delete_some

    def counted(name: str, some: Sequence[str]) -> Any:
        steps.append(len(some))
        return delete_some(name, some)

    monkeypatch.setattr(house.catalog.pictures, "delete_some", counted)
    assert await sweeper_of(house, trail).sweep() == Swept(20, left=False)
    assert steps == [4, 4, 2, 4, 4, 2]
    for name in ("one", "other"):
        gallery = await house.galleries.get(name)
        assert (gallery.images, gallery.people, await found(house, PICTURES[0], name)) == (0, 0, [])
    assert house.files() == []
    assert sorted(lines(trail))[:10] == sorted(
        ("retention", "one", trail.pseudonym("one", id), 204) for id in ids
    )
    assert len(lines(trail)) == 20


@pytest.mark.parametrize(
    "fault", [DeadlineExceeded("others write"), OperationalError("", {}, Exception("locked"))]
)
async def test_what_is_refused_keeps_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    delete_some = house.catalog.pictures.delete_some

    def refusing(name: str, some: Sequence[str]) -> Any:
        monkeypatch.setattr(house.catalog.pictures, "delete_some", delete_some)
        raise fault

    monkeypatch.setattr(house.catalog.pictures, "delete_some", refusing)
    assert await sweeper_of(house).sweep() == Swept(16, left=True)
    assert await sweeper_of(house).sweep() == Swept(4, left=False)


async def test_a_catalog_that_refuses_everything_is_not_asked_without_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def refusing(*_: object) -> None:
        nonlocal asked
        asked += 1
        raise DeadlineExceeded("others write")

    monkeypatch.setattr(house.catalog.pictures, "delete_some", refusing)
    assert await sweeper_of(house).sweep() == Swept(0, left=True)
    assert asked == 3


async def test_a_sweep_that_left_something_is_soon_followed_by_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_some = house.catalog.pictures.delete_some

    def refusing(name: str, some: Sequence[str]) -> Any:
        monkeypatch.setattr(house.catalog.pictures, "delete_some", delete_some)
        raise DeadlineExceeded("others write")

    monkeypatch.setattr(house.catalog.pictures, "delete_some", refusing)
    sweeper = sweeper_of(house, pause_s=3600.0, again_s=0.01)
    sweeper.start()
    async with asyncio.timeout(60):
        while (await house.galleries.get("one")).images or (await house.galleries.get("other")).images:
            await asyncio.sleep(0.01)
    await sweeper.close()


async def test_what_the_index_did_not_follow_is_erased_and_has_its_lines(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = AuditTrail(house.catalog.database)
    fail_once(monkeypatch, house.index, "remove")
    assert await sweeper_of(house, trail).sweep() == Swept(20, left=False)
    assert [status for *_, status in lines(trail)] == [204] * 20
    assert await found(house, PICTURES[0], "one") == []


async def test_lines_end_though_none_are_added_any_more(house: House) -> None:
    trail = AuditTrail(house.catalog.database)
    for days in (366, 364):
        at = datetime.now(UTC) - timedelta(days=days)
        trail._insert([Event(at, "r", None, "query", "one", None, 1, 200)])
    await sweeper_of(house, None).sweep()
    (left,) = trail.events()
    assert left.at == at


async def test_what_ended_in_doubt_has_lines_that_say_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = AuditTrail(house.catalog.database)
    delete_some = house.catalog.pictures.delete_some

    def in_doubt(name: str, some: Sequence[str]) -> Any:
        monkeypatch.setattr(house.catalog.pictures, "delete_some", delete_some)
        raise CommitInDoubt(delete_some(name, some))

    monkeypatch.setattr(house.catalog.pictures, "delete_some", in_doubt)
    assert await sweeper_of(house, trail).sweep() == Swept(16, left=True)
    assert sorted(status for *_, status in lines(trail)) == [204] * 16 + [503] * 4
    assert await sweeper_of(house, trail).sweep() == Swept(0, left=False)
