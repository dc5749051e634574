from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from service.api.admission import Admission
from service.api.deadline import within
from service.problems import DeadlineExceeded


class App:
    """Answers when it is let go on; remembers how many wait."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.waiting = 0
        self.arrived = asyncio.Condition()
        self.fault: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.waiting += 1
        async with self.arrived:
            self.arrived.notify_all()
        try:
            if scope["path"].startswith("/v1/"):
                await self.go_on.wait()
            if self.fault is not None:
                raise self.fault
            await PlainTextResponse("done")(scope, receive, send)
        finally:
            self.waiting -= 1

    async def busy_with(self, count: int) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.waiting == count)


def asking(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


async def test_one_request_too_many_is_told_to_come_back_and_the_others_are_answered() -> None:
    app = App()
    async with asking(Admission(app, most=2, deadline_s=60)) as http:
        first = [asyncio.create_task(http.get("/v1/model")), asyncio.create_task(http.post("/v1/embed"))]
        await app.busy_with(2)
        refused = await http.post("/v1/embed", content=b"a body")
        assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (429, "overloaded")
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert (await http.get("/readyz")).status_code == 200
        app.go_on.set()
        assert [(await answer).status_code for answer in first] == [200, 200]
        assert (await http.get("/v1/model")).status_code == 200


async def test_a_request_that_failed_or_whose_caller_left_makes_room() -> None:
    app = App()
    async with asking(Admission(app, most=1, deadline_s=60)) as http:
        left = asyncio.create_task(http.get("/v1/model"))
        await app.busy_with(1)
        left.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await left
        app.go_on.set()
        app.fault = RuntimeError("a bug")
        with pytest.raises(RuntimeError, match="a bug"):
            await http.get("/v1/model")
        app.fault = None
        assert (await http.get("/v1/model")).status_code == 200


async def test_looking_ends_at_its_deadline_and_changing_does_not() -> None:
    app = App()
    async with asking(Admission(app, most=10, deadline_s=0.05)) as http:
        late = await http.get("/v1/model")
        assert (late.status_code, late.json()["type"].rsplit("/", 1)[-1]) == (504, "deadline-exceeded")
        change = asyncio.create_task(http.delete("/v1/galleries/shop"))
        await app.busy_with(1)
        await asyncio.sleep(0.1)
        app.go_on.set()
        assert (await change).status_code == 200


async def test_a_timeout_of_something_else_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError) as other:
        async with within(60):
            raise TimeoutError("of a socket")
    assert not isinstance(other.value, DeadlineExceeded)
