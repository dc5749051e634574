"""A request id for every request: taken from ``X-Request-ID`` or made, logged, and sent back."""

from __future__ import annotations

import random
import re
from contextvars import ContextVar
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "X-Request-ID"
REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="-")
"""The id of the request being answered; ``"-"`` outside of one."""

_RAW_HEADER: Final = HEADER.lower().encode()
_ACCEPTED: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")


class RequestIds:
    """ASGI middleware. An id that the caller sent is kept if it is harmless to log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(HEADER, "")
        request_id = sent if _ACCEPTED.fullmatch(sent) else f"{random.getrandbits(128):032x}"
        token = REQUEST_ID.set(request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (_RAW_HEADER, request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            REQUEST_ID.reset(token)
