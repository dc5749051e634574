"""One caller's connection: neither a request's head without an end, nor one that never comes."""

from __future__ import annotations

import asyncio
import http
import json
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.faults import MEDIA_TYPE, document
from service.problems import HeadTooLarge

__all__ = ["Connection"]

_HEAD_BYTES: Final = 64 * 1024
"""Of a request line and headers, or of what follows a body; as h11 allows."""

_HEAD_S: Final = 30.0
"""How long a head is waited for, from the connection's beginning or from its own first byte."""


class Connection(HttpToolsProtocol):
    """uvicorn's own, which keeps whatever headers come, in many times their size, and waits for ever.

    Both happens before a key can be asked for, and before :mod:`service.api.admission` counts the request.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._in_body = False
        self._unread = 0  # bytes of which no body, and no whole head, was made
        self._giving_up: asyncio.TimerHandle | None = self.loop.call_later(_HEAD_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        between_requests = self.cycle is None or self.cycle.response_complete
        if self._unread > _HEAD_BYTES:
            if between_requests:
                self.transport.write(_TOO_LARGE)
            self.transport.close()
        elif between_requests and not self._in_body and self._giving_up is None:
            self._giving_up = self.loop.call_later(_HEAD_S, self._give_up)

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._unread = 0
        self._wait_no_longer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_longer()
        super().connection_lost(exc)

    def _wait_no_longer(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        self._giving_up = None
        self.transport.close()


def _too_large() -> bytes:
    problem = HeadTooLarge(f"A request's line and headers may have {_HEAD_BYTES} bytes together.")
    body = json.dumps(document(problem)).encode()
    status = http.HTTPStatus(problem.status)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


_TOO_LARGE: Final = _too_large()
