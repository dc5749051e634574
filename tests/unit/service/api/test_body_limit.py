from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from service.api.body_limit import BodyLimit

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/v1/embed", "headers": [], "query_string": b""}


async def statuses(app: BodyLimit, receive: Receive) -> list[int]:
    found = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    await app(SCOPE, receive, send)
    return found


async def test_a_slow_body_is_waited_for_as_long_as_something_comes() -> None:
    left = 30

    async def receive() -> Message:
        nonlocal left
        await asyncio.sleep(0.05)
        left -= 1
        return {"type": "http.request", "body": b"x", "more_body": left > 0}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await PlainTextResponse(str(len(body)))(scope, receive, send)

    assert await statuses(BodyLimit(app, 1000, deadline_s=1.2), receive) == [200]


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

    assert await statuses(BodyLimit(app, 1000, deadline_s=0.01), receive) == [200]
