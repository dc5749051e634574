"""What is drawn for an answer, and what is left out; the service around it is in the integration tests."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import numpy.typing as npt
import pytest

from service.gallery import Grade, Match, QueryAnswer, Timings
from service.overlays import MOST_RESULTS, Overlays, QueryOverlays
from service.problems import DeadlineExceeded, PictureLost, PictureNotKept, PicturesAway, UnknownImage
from tests.drawings import encoded, person

MODEL = "a" * 64


class Looks:
    """A model that looks at the middle, and remembers how many pictures it was shown."""

    fingerprint = MODEL
    picture_size = (128, 64)

    def __init__(self) -> None:
        self.shown: list[int] = []

    def attention(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        assert images.shape[1:] == (128, 64, 3)
        self.shown.append(len(images))
        return np.full((len(images), 8, 4), 0.5, np.float32)


class Files:
    """Every picture is kept but those named; each is asked for once."""

    def __init__(self, **missing: Exception) -> None:
        self.missing = missing

    async def file(self, gallery: str, id: str) -> bytes:
        if id in self.missing:
            raise self.missing[id]
        return encoded(person(int(id.removeprefix("i"))))


def answer(count: int, fingerprint: str = MODEL) -> QueryAnswer:
    whole = Grade(0, None)
    matches = tuple(
        Match(rank, f"p{rank}", 0.5, f"i{rank}", None, None, None, {}, whole, "top_half")
        for rank in range(1, count + 1)
    )
    return QueryAnswer((Grade(2, None),), matches, fingerprint, Timings(0, 0, 0, 0, 0))


def drawn(looks: Looks, files: Files, answered: QueryAnswer, deadline_s: float = 60) -> QueryOverlays:
    overlays = Overlays(looks, files, 10**6, deadline_s)
    return asyncio.run(overlays.draw("shop", encoded(person(1)), None, "auto", answered))


def test_all_pictures_are_shown_to_the_model_at_once() -> None:
    looks = Looks()
    found = drawn(looks, Files(), answer(MOST_RESULTS + 3))
    assert looks.shown == [1 + MOST_RESULTS]
    assert len(found.results) == MOST_RESULTS
    assert all(result.gallery and result.attention for result in found.results)


def test_an_empty_gallery_leaves_the_query_alone() -> None:
    looks = Looks()
    found = drawn(looks, Files(), answer(0))
    assert looks.shown == [1]
    assert found.results == ()
    assert found.query.attention is not None


@pytest.mark.parametrize(
    "fault", [PictureNotKept("no"), UnknownImage("no"), PictureLost("no"), PicturesAway()]
)
def test_a_picture_that_is_not_there_is_left_out_and_its_neighbours_are_not(fault: Exception) -> None:
    looks = Looks()
    first, second, third = drawn(looks, Files(i2=fault), answer(3)).results
    assert looks.shown == [3]
    assert (second.gallery, second.attention) == (None, None)
    assert second.query == first.query == third.query
    assert first.gallery != third.gallery
    assert None not in (first.gallery, third.gallery, first.attention, third.attention)


def test_where_one_model_looks_says_nothing_of_an_answer_by_another() -> None:
    looks = Looks()
    found = drawn(looks, Files(), answer(2, fingerprint="b" * 64))
    assert looks.shown == []
    assert found.query.attention is None
    assert [result.attention for result in found.results] == [None, None]
    assert all(result.gallery for result in found.results)


def test_the_deadline_holds_for_waiting_too() -> None:
    async def two() -> list[QueryOverlays | BaseException]:
        overlays = Overlays(Looks(), Files(), 10**6, 60)
        picture = encoded(person(1))
        async with overlays._turn:
            overlays._deadline_s = 0.01
            first = asyncio.create_task(overlays.draw("shop", picture, None, "auto", answer(1)))
            refused = await asyncio.gather(first, return_exceptions=True)
        overlays._deadline_s = 60
        return [*refused, await overlays.draw("shop", picture, None, "auto", answer(1))]

    refused, found = asyncio.run(two())
    assert isinstance(refused, DeadlineExceeded)
    assert isinstance(found, QueryOverlays)


async def test_who_gives_up_holds_the_turn_until_their_thread_has_drawn() -> None:
    """Else under load, when many give up, as many are drawn at once as there are threads."""
    going_on, at_once, most = threading.Event(), 0, 0

    class Slow(Looks):
        def attention(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            assert going_on.wait(60)
            at_once -= 1
            return super().attention(images)

    overlays, picture = Overlays(Slow(), Files(), 10**6, 60), encoded(person(1))

    async def draw() -> QueryOverlays:
        return await overlays.draw("shop", picture, None, "auto", answer(1))

    given_up = asyncio.create_task(draw())
    async with asyncio.timeout(60):
        while not at_once:
            await asyncio.sleep(0.01)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    overlays._deadline_s = 0.01
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            await draw()
    going_on.set()
    overlays._deadline_s = 60
    assert isinstance(await draw(), QueryOverlays)
    assert most == 1
