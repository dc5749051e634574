"""No request's body may have more bytes than the settings allow, whatever its headers say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.faults import MEDIA_TYPE, document
from service.api.request_id import REQUEST_ID
from service.problems import BodyTooLarge

_LINGER_BYTES: Final = 8 * 1024 * 1024
_LINGER_SECONDS: Final = 2.0

_STREAMS: Final = re.compile(r"/v1/galleries/[^/]+/query/batch")


class _TooMany(Exception):
    """Leaves the application from within its reading of the body."""


class BodyLimit:
    """ASGI middleware. Refuses by ``Content-Length`` at once, and without one while counting.

    After refusing it reads on for a short while and throws away what comes: a connection closed on a
    caller that is still sending is reset, and the caller would never see the answer.

    A batch of queries is a stream without an end that could be known; its lines are limited instead, where
    they are read (``service/api/batch.py``).
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _STREAMS.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length")
        if announced is not None and announced.isdigit() and int(announced) > self._max_bytes:
            await self._refuse(receive, send, f"{announced} bytes are announced")
            return

        seen = 0
        refused = False
        answering = False

        async def counted() -> Message:
            nonlocal seen, refused
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._max_bytes and not answering:
                    refused = True
                    raise _TooMany
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal answering
            # A framework that wraps _TooMany into an answer of its own is not listened to.
            if not refused:
                answering = True
                await send(message)

        with contextlib.suppress(_TooMany):
            await self._app(scope, counted, send_unless_refused)
        if refused:
            await self._refuse(receive, send, f"{seen} bytes came, and it went on")

    async def _refuse(self, receive: Receive, send: Send, found: str) -> None:
        problem = BodyTooLarge(
            f"The request's body is too large: {found}; at most {self._max_bytes} are accepted. "
            "Send fewer pictures at a time."
        )
        body = json.dumps(document(problem, request_id=REQUEST_ID.get())).encode()
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await self._linger(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @staticmethod
    async def _linger(receive: Receive) -> None:
        left = _LINGER_BYTES
        until = time.monotonic() + _LINGER_SECONDS
        try:
            while left > 0:
                async with asyncio.timeout(until - time.monotonic()):
                    message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
        except TimeoutError:
            return
