"""The HTTP server, which lets the application know when it begins to stop."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

__all__ = ["Server"]


class Server(uvicorn.Server):
    """uvicorn's own. A request without an end would else keep it from stopping until its patience ends.

    Args:
        config: uvicorn's.
        stopping: set as soon as no more connections are taken.
    """

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does."""
        self._stopping.set()
        await super().shutdown(sockets)
