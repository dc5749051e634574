"""The HTTP server, which lets the application know when it begins to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn

__all__ = ["Server"]


class Server(uvicorn.Server):
    """uvicorn's own. A request without an end would else keep it from stopping until its patience ends.

    Args:
        config: uvicorn's.
        stopping: set as soon as no more connections are taken.
        on_serving: called once requests are taken.

    Attributes:
        fault: why it cannot listen to its sockets, or None.
    """

    def __init__(
        self, config: uvicorn.Config, stopping: asyncio.Event, on_serving: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._on_serving = on_serving
        self.fault: OSError | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, which leaves by SystemExit where it cannot."""
        begin = self.lifespan.startup

        async def begin_and_listen() -> None:
            await begin()
            if not self.lifespan.should_exit:
                for one in sockets or ():
                    one.listen(self.config.backlog)  # uvloop, which would, does not say where that fails

        self.lifespan.startup = begin_and_listen
        try:
            await super().startup(sockets)
        except OSError as error:  # another service has bound the same address meanwhile, and was quicker
            self.fault = error
            await self.lifespan.shutdown()
            raise SystemExit(1) from error
        self._on_serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does."""
        self._stopping.set()
        await super().shutdown(sockets)
