"""Bringing a gallery to another model: nothing that goes wrong with one picture holds up the others."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from service.embedding.box import Box
from service.embedding.features import PictureFeatures
from service.problems import Overloaded, Problem, Unavailable
from service.reindexing import Reindexer, Reindexing
from tests.gallery_house import NEXT_MODEL, House, enrol, picture

PICTURES = [picture(f"p{number}", 0, number) for number in range(6)]


class Reindexed:
    """A house whose pictures are of the model before, and what brings them to the next."""

    def __init__(self, house: House, ids: Sequence[str]) -> None:
        self.house = house
        self.ids = ids
        house.embedder.fingerprint = NEXT_MODEL
        self.reindexer = Reindexer(house.catalog, house.galleries, NEXT_MODEL, pause_s=0.01)

    async def done(self) -> Reindexing:
        await self.reindexer.begin("archive")
        async with asyncio.timeout(60):
            while (found := await self.reindexer.state("archive")).running:
                await asyncio.sleep(0.01)
        return found

    def fail_on(self, content: bytes, problem: Problem, times: int) -> None:
        """Let the embedder fail on one picture, so often."""
        embed = self.house.embedder.embed
        left = times

        async def failing(asked: bytes, codes: Sequence[int], box: Box | None = None) -> PictureFeatures:
            nonlocal left
            if asked == content and left:
                left -= 1
                raise problem
            return await embed(asked, codes, box)

        self.house.embedder.embed = failing  # type: ignore[method-assign]


@pytest_asyncio.fixture
async def reindexed(tmp_path: Path) -> Reindexed:
    house = House(tmp_path)
    await house.enter()
    await house.galleries.create("archive", keep_pictures=True)
    outcomes = await enrol(house, *PICTURES, gallery="archive")
    return Reindexed(house, [str(outcome.id) for outcome in outcomes])


async def test_a_picture_that_workers_die_over_is_set_aside(reindexed: Reindexed) -> None:
    reindexed.fail_on(PICTURES[2], Unavailable("the worker died over this picture"), times=10_000)
    found = await reindexed.done()
    assert (found.done, found.waiting, found.failed_images) == (5, 0, (reindexed.ids[2],))
    assert "died" in str(found.problem)
    await reindexed.house.leave()


@pytest.mark.parametrize(("problem", "times"), [(Unavailable("once"), 2), (Overloaded("often"), 20)])
async def test_what_goes_by_is_waited_for(reindexed: Reindexed, problem: Problem, times: int) -> None:
    reindexed.fail_on(PICTURES[2], problem, times)
    found = await reindexed.done()
    assert (found.done, found.failed, found.problem) == (6, 0, None)
    await reindexed.house.leave()


async def test_a_file_on_a_bad_spot_of_the_disk_is_set_aside(
    reindexed: Reindexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = reindexed.house.pictures._files
    read = files.cat_file

    def bad(path: str) -> bytes:
        if reindexed.ids[4] in path:
            raise OSError(errno.EIO, "Input/output error")
        return bytes(read(path))

    monkeypatch.setattr(files, "cat_file", bad)
    found = await reindexed.done()
    assert (found.done, found.failed_images) == (5, (reindexed.ids[4],))
    monkeypatch.undo()
    found = await reindexed.done()
    assert (found.done, found.failed) == (6, 0)
    await reindexed.house.leave()


async def test_a_store_that_is_away_is_waited_for_and_nothing_is_set_aside(reindexed: Reindexed) -> None:
    store, aside = reindexed.house.folder / "pictures", reindexed.house.folder / "elsewhere"
    store.rename(aside)
    found = await reindexed.reindexer.begin("archive")
    async with asyncio.timeout(60):
        while found.problem is None:
            await asyncio.sleep(0.01)
            found = await reindexed.reindexer.state("archive")
    assert (found.running, found.done, found.waiting, found.failed) == (True, 0, 6, 0)
    assert "picture store" in found.problem
    aside.rename(store)
    found = await reindexed.done()
    assert (found.done, found.failed, found.problem) == (6, 0, None)
    await reindexed.house.leave()


async def test_what_was_kept_of_a_frame_is_cached_under_no_name(reindexed: Reindexed) -> None:
    """The catalog names the frame with its box; another name would be lost with a broken-off task."""
    part, house = picture("p2", 0, 99), reindexed.house
    number = house.catalog.galleries.key("archive").number
    house.pictures.write(number, reindexed.ids[2], part)
    house.embedder.remembered.clear()
    found = await reindexed.done()
    assert (found.done, found.failed) == (6, 0)
    assert sorted(house.embedder.remembered) == sorted(set(PICTURES) - {PICTURES[2]})
    assert part in [content for content, _ in house.embedder.asked]
    await house.leave()
