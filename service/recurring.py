"""Work that goes on beside the requests, from the start of the service to its end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

__all__ = ["Recurring"]


class Recurring(ABC):
    """A task of the event loop that looks again and again whether there is something to do."""

    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """End, wherever the work is; what is left of it is done after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @abstractmethod
    async def _work(self) -> None:
        """Look, pause, and look again, without end."""
