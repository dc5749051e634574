"""How many requests are worked on at a time, and how long one that only looks may take."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.deadline import within
from service.api.faults import problem_response
from service.problems import DeadlineExceeded, Overloaded

__all__ = ["Admission"]


class Admission:
    """ASGI middleware. Beyond so many requests at a time: 429. They would only wait for threads.

    Health, metrics and the documentation are let through, so that one sees why. A request that only looks
    (GET) has its deadline here; those with a body begin theirs when it has been read.

    Args:
        most: requests at a time; a stream of queries is one.
        deadline_s: of a GET.
    """

    def __init__(self, app: ASGIApp, most: int, deadline_s: float) -> None:
        self._app = app
        self._most = most
        self._deadline_s = deadline_s
        self._admitted = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        if self._admitted >= self._most:
            problem = Overloaded(
                f"{self._admitted} requests are being worked on, and no more may. Try again later."
            )
            await problem_response(problem)(scope, receive, send)
            return
        self._admitted += 1
        try:
            if scope["method"] in ("GET", "HEAD"):
                await self._look(scope, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            self._admitted -= 1

    async def _look(self, scope: Scope, receive: Receive, send: Send) -> None:
        answering = False

        async def noted(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            async with within(self._deadline_s):
                await self._app(scope, receive, noted)
        except DeadlineExceeded as late:
            if answering:
                raise  # half an answer is out: the server must break the connection off
            await problem_response(late)(scope, receive, send)
