from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given, settings
from hypothesis import strategies as st

from service.api import batch
from service.api.batch import Line, in_order, lines_of


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


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
