"""The lines of a stream that comes: none longer than is allowed, and none waited for forever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from service.api.pace import Pace
from service.problems import Problem

__all__ = ["Line", "in_time", "lines_of"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a stream.

    Attributes:
        number: from 1.
        content: None where it was too long; a problem in place of the last, where the stream ends for it.
    """

    number: int
    content: bytes | Problem | None


async def lines_of(chunks: AsyncIterator[bytes], longest: int) -> AsyncIterator[Line]:
    """The lines of a stream that are not blank. Of one that is too long no more than that is held.

    Args:
        chunks: as they come.
        longest: bytes of a line, without its end.
    """
    number, held, over = 1, bytearray(), False
    try:
        async for chunk in chunks:
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                over = over or len(held) + len(end) > longest
                if over:
                    yield Line(number, None)
                elif (line := bytes(held) + end).strip():
                    yield Line(number, line)
                number, over = number + 1, False
                held.clear()
            over = over or len(held) + len(rest) > longest
            if over:
                held.clear()
            else:
                held += rest
    except Problem as problem:
        yield Line(number, problem)
        return
    if over:
        yield Line(number, None)
    elif held.strip():
        yield Line(number, bytes(held))


async def in_time(
    chunks: AsyncIterator[bytes], pace: Pace, idle_s: Callable[[], float], ending: asyncio.Future[Problem]
) -> AsyncIterator[bytes]:
    """The chunks until the end, while each line comes at the pace; the wait for its beginning counts alone.

    Blank lines are no lines, so nobody holds the stream by sending them.

    Args:
        chunks: as they come.
        pace: that of a line.
        idle_s: seconds since a line was last worked on: who sends one when the one before is answered is not
            to blame for the wait.
        ending: done when no more chunks are taken, and why.

    Raises:
        BodyStalled: the next did not come in time.
        Problem: that of the ending.
    """
    within_line = False
    while True:
        coming: asyncio.Future[bytes | None] = asyncio.ensure_future(anext(chunks, None))
        either: set[asyncio.Future[Any]] = {coming, ending}
        began = time.monotonic()
        waited_s = 0.0
        try:
            while True:
                patience_s = pace.patience_s - waited_s
                done, _ = await asyncio.wait(either, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                if ending.done():
                    raise ending.result()
                if done:
                    break
                waited_s = min(time.monotonic() - began, idle_s())
                if waited_s >= pace.patience_s:
                    raise pace.stalled()
        finally:
            coming.cancel()
        chunk = coming.result()
        if chunk is None:
            return
        pace.came(len(chunk), min(time.monotonic() - began, idle_s()))
        ends, end, rest = chunk.rpartition(b"\n")
        if (end and (within_line or ends.strip())) or (not within_line and rest.strip()):
            pace.start_over()
        within_line = bool(rest.strip()) or (within_line and not end)
        yield chunk
