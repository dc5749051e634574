"""A TCP proxy behind which a server's replies are late: all of them come, some when nobody waits any more."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from urllib.parse import urlsplit

__all__ = ["LateProxy"]


class LateProxy:
    """Between a client and a server on loopback, in a thread of its own, as long as the context lasts.

    Args:
        url: of the server, e.g. ``redis://127.0.0.1:6379/0``.

    Attributes:
        url: the same by way of the proxy.
        delay: asked for each piece of a reply, how long it is held back, seconds; :meth:`let_go` ends that.
        late: pieces that were held back so far.
        held: pieces that are held back now.
    """

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self.delay: Callable[[], float] = lambda: 0.0
        self.late = 0
        self.held = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="late proxy")
        self._ready = threading.Event()

    def __enter__(self) -> LateProxy:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def let_go(self) -> None:
        """Pass on what is held back now."""
        self._loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        self._go.set()
        self._go = asyncio.Event()

    async def _run(self) -> None:
        self._loop, self._end, self._go = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        self.url = self._server._replace(netloc=f"127.0.0.1:{port}").geturl()
        self._ready.set()
        await self._end.wait()
        listening.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        to_server: asyncio.StreamWriter | None = None
        try:
            server, to_server = await asyncio.open_connection(self._server.hostname, self._server.port)
            answering = asyncio.create_task(self._pass_on(server, to_client, lambda: self.delay()))
            asking = asyncio.create_task(self._pass_on(client, to_server, lambda: 0.0))
            both = (answering, asking)
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
        except (OSError, asyncio.CancelledError):
            pass  # the server is away, or the proxy ends
        finally:
            for writer in (to_client, to_server):
                if writer is not None:
                    writer.close()

    async def _pass_on(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, delay: Callable[[], float]
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(65536):
                if held_s := delay():
                    await self._hold(held_s)
                to.write(piece)
                await to.drain()

    async def _hold(self, seconds: float) -> None:
        self.late += 1
        self.held += 1
        try:
            async with asyncio.timeout(seconds):
                await self._go.wait()
        except TimeoutError:
            pass
        finally:
            self.held -= 1
