"""Reading on after an answer that went out before its request had come in."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.types import Receive

__all__ = ["linger"]

_BYTES: Final = 8 * 1024 * 1024
_SECONDS: Final = 2.0


async def linger(receive: Receive) -> None:
    """Throw away what comes, for a short while.

    A connection closed on a caller that is still sending is reset, and the caller would never see the answer.
    """
    left = _BYTES
    until = time.monotonic() + _SECONDS
    try:
        while left > 0:
            async with asyncio.timeout(until - time.monotonic()):
                message = await receive()
            left -= len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
    except TimeoutError:
        return
