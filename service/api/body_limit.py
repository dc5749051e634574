"""No request's body has more bytes than is allowed, whatever its headers say, or is waited for forever."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.faults import MEDIA_TYPE, document
from service.api.linger import linger
from service.api.pace import Pace
from service.api.request_id import REQUEST_ID
from service.problems import BodyTooLarge, Problem

_JSON_BYTES: Final = 64 * 1024
"""Of a body without pictures; those that validate have a few hundred."""

_STREAMS: Final = re.compile(r"/v1/galleries/[^/]+/query/batch")


class BodyLimit:
    """ASGI middleware. Refuses by ``Content-Length``, and without one while counting.

    Either when a body would be read: its caller's key was asked for then, and the audit trail has the call.

    After refusing it reads on for a short while (:mod:`service.api.linger`).

    A batch of queries is a stream without an end that could be known; its lines are limited instead, and
    waited for, where they are read (``service/api/batch.py``).

    Args:
        max_bytes: of a body; one without pictures may have 64 KiB at most.
        deadline_s, bytes_per_s: how long a body is waited for, see :class:`service.api.pace.Pace`.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, deadline_s: float, bytes_per_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._deadline_s = deadline_s
        self._bytes_per_s = bytes_per_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _STREAMS.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        most = self._max_bytes
        if scope["method"] == "PATCH" or scope["path"] == "/v1/galleries":
            most = min(most, _JSON_BYTES)
        length = Headers(scope=scope).get("content-length")
        announced = int(length) if length is not None and length.isdecimal() else 0
        pace = Pace(self._deadline_s, self._bytes_per_s)
        seen = 0
        whole = False
        refused: Problem | None = None
        answering = False

        async def counted() -> Message:
            nonlocal seen, whole, refused
            if announced > most and not answering:
                refused = _too_large(f"{announced} bytes are announced", most)
                raise refused
            began = time.monotonic()
            while True:
                try:
                    async with asyncio.timeout(None if whole or answering else pace.patience_s):
                        message = await receive()
                    break
                except TimeoutError:
                    if not answering:
                        refused = pace.stalled()
                        raise refused from None
            whole = not message.get("more_body", False)
            if message["type"] == "http.request":
                size = len(message.get("body", b""))
                pace.came(size, time.monotonic() - began)
                seen += size
                if seen > most and not answering:
                    refused = _too_large(f"{seen} bytes came, and it went on", most)
                    raise refused
            return message

        async def send_unless_refused(message: Message) -> None:
            nonlocal answering
            # A framework that makes an answer of its own of the refusal is not listened to.
            if refused is None:
                answering = True
                await send(message)

        try:
            await self._app(scope, counted, send_unless_refused)
        except Problem:
            if refused is None:
                raise
        if refused is not None:
            await self._refuse(receive, send, refused)

    async def _refuse(self, receive: Receive, send: Send, problem: Problem) -> None:
        body = json.dumps(document(problem, request_id=REQUEST_ID.get())).encode()
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await linger(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _too_large(found: str, most: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The request's body is too large: {found}; at most {most} are accepted. "
        "Where it has pictures, send fewer at a time."
    )
