from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from service.api.body_limit import BodyLimit
from tests.leaping_clock import leaping

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/v1/embed", "headers": [], "query_string": b""}


async def statuses(app: BodyLimit, receive: Receive) -> list[int]:
    found = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    await app(SCOPE, receive, send)
    return found


async def reads(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


def dripping(size: int, pause_s: float) -> Receive:
    """Thirty pieces of a body."""
    left = 30

    async def receive() -> Message:
        nonlocal left
        await asyncio.sleep(pause_s)
        left -= 1
        return {"type": "http.request", "body": bytes(size), "more_body": left > 0}

    return receive


def test_a_slow_body_is_waited_for_as_long_as_it_comes_at_the_rate() -> None:
    limit = BodyLimit(reads, 1_000_000, deadline_s=1.2, bytes_per_s=100)
    assert leaping(statuses(limit, dripping(1000, 0.05))) == [200]


def test_a_body_that_comes_by_drips_is_given_up_though_each_comes_in_time() -> None:
    limit = BodyLimit(reads, 1_000_000, deadline_s=0.5, bytes_per_s=100)
    assert leaping(statuses(limit, dripping(1, 0.1))) == [408]


def test_time_in_which_nobody_read_the_body_is_not_the_callers() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1.5)
        await reads(scope, receive, send)

    limit = BodyLimit(slow, 1_000_000, deadline_s=1.2, bytes_per_s=1e6)
    assert leaping(statuses(limit, dripping(1, 0))) == [200]


@pytest.mark.parametrize("whole", [True, False])
async def test_who_waits_for_the_caller_to_leave_is_not_told_of_a_body(whole: bool) -> None:
    came = asyncio.Event()
    left = asyncio.Event()

    async def receive() -> Message:
        if whole and not came.is_set():
            came.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if whole:
            await receive()
        waiting = asyncio.create_task(receive())  # type: ignore[arg-type]
        await PlainTextResponse("done")(scope, receive, send)
        await asyncio.sleep(0.1)
        left.set()
        assert (await waiting)["type"] == "http.disconnect"

    assert await statuses(BodyLimit(app, 1000, deadline_s=0.01, bytes_per_s=1), receive) == [200]
