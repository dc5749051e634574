from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.api import batch
from service.api.batch import LastAnswer, in_order
from service.api.lines import Line, in_time, lines_of
from service.api.pace import Pace
from service.problems import BodyStalled, Problem, Unauthorised
from tests.leaping_clock import leaping


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def never() -> asyncio.Future[Problem]:
    """What has no end before its caller ends it."""
    return asyncio.get_running_loop().create_future()


@given(st.lists(st.binary(max_size=12)), st.integers(0, 6))
@settings(deadline=None)
def test_lines_are_the_same_however_the_stream_is_cut(parts: list[bytes], longest: int) -> None:
    async def collect() -> list[Line]:
        return [line async for line in lines_of(chunks(*parts), longest)]

    whole = enumerate(b"".join(parts).split(b"\n"), 1)
    expected = [
        Line(number, None if len(line) > longest else line)
        for number, line in whole
        if len(line) > longest or line.strip()
    ]
    assert asyncio.run(collect()) == expected


async def test_answers_keep_the_order_of_the_lines_whichever_is_ready_first() -> None:
    async def answer(line: Line) -> bytes:
        await asyncio.sleep(0.001 * (10 - line.number % 10))
        return b"%d" % line.number

    lines = lines_of(chunks(*[b"x\n"] * 40), 10)
    assert [found async for found in in_order(lines, answer, 4)] == [b"%d" % n for n in range(1, 41)]


async def test_no_more_is_read_than_is_worked_on() -> None:
    read = 0
    go = asyncio.Event()

    async def coming() -> AsyncIterator[Line]:
        nonlocal read
        for number in range(1, 101):
            read += 1
            yield Line(number, b"x")

    async def answer(line: Line) -> bytes:
        await go.wait()
        return b"."

    answers = in_order(coming(), answer, 3)
    first = asyncio.ensure_future(anext(answers))
    for _ in range(50):
        await asyncio.sleep(0)
    assert read == 3
    go.set()
    assert await first == b"."
    await answers.aclose()


async def test_no_more_is_read_while_answers_wait_for_their_reader() -> None:
    read = 0

    async def coming() -> AsyncIterator[Line]:
        nonlocal read
        for number in range(1, 101):
            read += 1
            yield Line(number, b"x")

    async def answer(line: Line) -> bytes:
        return bytes(batch._UNSENT_BYTES // 4)

    answers = in_order(coming(), answer, 2)
    await anext(answers)
    for _ in range(200):
        await asyncio.sleep(0)
    assert read <= 8
    assert len([found async for found in answers]) == 99


async def test_a_stream_that_stalls_ends_in_a_line_that_says_so_but_not_while_lines_are_worked_on() -> None:
    asked = 0

    async def coming() -> AsyncIterator[bytes]:
        yield b"one\ntw"
        await asyncio.Event().wait()

    def idle_s() -> float:
        nonlocal asked
        asked += 1
        return 0.0 if asked < 4 else 1.0

    found = [line async for line in lines_of(in_time(coming(), Pace(0.01, 1), idle_s, never()), 10)]
    assert asked >= 4
    assert found[0] == Line(1, b"one")
    assert (len(found), found[1].number) == (2, 2)
    assert isinstance(found[1].content, BodyStalled)


@pytest.mark.parametrize("drop", [b"x", b" ", b"\n", b"\r\n \n"])
def test_a_stream_is_not_held_by_drops(drop: bytes) -> None:
    async def coming() -> AsyncIterator[bytes]:
        yield b"one\n"
        while True:
            await asyncio.sleep(0.02)
            yield drop

    async def read() -> list[Line]:
        lines = lines_of(in_time(coming(), Pace(0.2, 1000), lambda: 3600.0, never()), 10_000)
        return [line async for line in lines]

    found = leaping(read())
    assert found[0] == Line(1, b"one")
    assert isinstance(found[-1].content, BodyStalled)
    assert len(found) == 2


def test_a_stream_may_go_on_for_as_long_as_its_lines_do() -> None:
    async def coming() -> AsyncIterator[bytes]:
        for _ in range(25):
            await asyncio.sleep(0.05)
            yield b"on"
            await asyncio.sleep(0.05)
            yield b"e\n"

    async def read() -> list[Line]:
        lines = lines_of(in_time(coming(), Pace(2.0, 1000), lambda: 3600.0, never()), 10)
        return [line async for line in lines]

    assert leaping(read()) == [Line(number, b"one") for number in range(1, 26)]


async def test_a_stream_ends_when_it_must_in_place_of_the_line_that_was_begun() -> None:
    end = never()

    async def coming() -> AsyncIterator[bytes]:
        yield b"one\ntw"
        end.set_result(Unauthorised("the key was revoked"))
        while True:  # blank lines, and as fast as one likes
            yield b"\n"
            await asyncio.sleep(0)

    found = [line async for line in lines_of(in_time(coming(), Pace(60, 1), lambda: 0.0, end), 10)]
    assert found[0] == Line(1, b"one")
    assert isinstance(found[-1].content, Unauthorised)
    assert len(found) <= 3


async def test_nothing_is_answered_after_the_last_answer_or_worked_on() -> None:
    given_up = 0

    async def answer(line: Line) -> bytes:
        nonlocal given_up
        if line.number == 3:
            return LastAnswer(b"the end")
        if line.number > 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                given_up += 1
                raise
        await asyncio.sleep(0.01)
        return b"."

    lines = lines_of(chunks(*[b"x\n"] * 40), 10)
    assert [found async for found in in_order(lines, answer, 4)] == [b".", b".", b"the end"]
    await asyncio.sleep(0)
    assert given_up >= 1
