"""One caller's connection: no request's head without an end, none that never comes, no answer never read."""

from __future__ import annotations

import asyncio
import http
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from starlette.datastructures import State
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.faults import MEDIA_TYPE, document
from service.problems import HeadTooLarge

__all__ = ["Connection", "held_up"]

_HEAD_BYTES: Final = 64 * 1024
"""Of a request line and headers, or of what follows a body; as h11 allows.

Counted once the piece that the socket gave is parsed: a head that ends in it may have that much more."""

_HEAD_S: Final = 30.0
"""How long a head is waited for, from the connection's beginning or from its own first byte."""

_READ_S: Final = 30.0
_READ_BYTES_PER_S: Final = 16 * 1024
"""How long the reading of an answer is waited for, and a second more for each so many bytes of it."""

_HELD_UP: Final = "held_up"
"""Name in a request's state: how often it is held up at the moment."""


@contextmanager
def held_up(state: State) -> Iterator[None]:
    """In this context a request waits by the service's own will, so that no more of it is read.

    Its caller may be about to send more before reading anything, and is not hung up on for that.
    """
    setattr(state, _HELD_UP, getattr(state, _HELD_UP, 0) + 1)
    try:
        yield
    finally:
        setattr(state, _HELD_UP, getattr(state, _HELD_UP) - 1)


class Connection(HttpToolsProtocol):
    """uvicorn's own, which keeps whatever headers come, in many times their size, and waits for ever.

    Both happens before a key can be asked for, and before :mod:`service.api.admission` counts the request.
    Who does not read an answer would keep its place among those that are worked on, and hold up a stop.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._in_body = False
        self._unread = 0  # bytes of which no body, and no whole head, was made
        self._giving_up: asyncio.TimerHandle | None = self.loop.call_later(_HEAD_S, self._give_up)
        self._hanging_up: asyncio.TimerHandle | None = None
        self._sends = False  # whether more of what is answered came since the answer is not read
        self._answered: RequestResponseCycle | None = None
        super().connection_made(transport)  # from here on others know of it

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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        self._sends = self._sends or self.cycle is self._answered
        super().on_body(body)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_reading()

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_longer()
        self._is_read()
        if self._answered is not None and not self._answered.response_complete:
            # uvicorn tells the last request alone, and this one would write to who is gone
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def _wait_for_reading(self) -> None:
        self._sends = False
        patience_s = _READ_S + self.transport.get_write_buffer_size() / _READ_BYTES_PER_S
        self._hanging_up = self.loop.call_later(patience_s, self._hang_up)

    def _hang_up(self) -> None:
        # whoever still sends what is answered may read when all is sent, as our client does
        if self._sends or (self._answered is not None and self._answered.scope["state"].get(_HELD_UP, 0)):
            self._wait_for_reading()
        else:
            self.transport.abort()

    def _is_read(self) -> None:
        if self._hanging_up is not None:
            self._hanging_up.cancel()
            self._hanging_up = None

    def _wait_no_longer(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _give_up(self) -> None:
        self._giving_up = None
        self.transport.close()


def _too_large() -> bytes:
    problem = HeadTooLarge(f"A request's line and headers may have about {_HEAD_BYTES} bytes together.")
    body = json.dumps(document(problem)).encode()
    status = http.HTTPStatus(problem.status)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


_TOO_LARGE: Final = _too_large()
