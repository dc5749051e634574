"""How long a stream may stay: while its key would let it in, and until the service stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from service.api.gatekeeper import Standing
from service.problems import Forbidden, Problem, RateLimited, Unauthorised, Unavailable

__all__ = ["Ended", "Stay"]

_ASK_AGAIN_S: Final = 5.0
"""How often a stream's key is asked for on which no line ends; each line asks for it anyway."""

_PAUSE_S: Final = 1.0
"""When the service stops, a stream on which nothing happens for so long ends."""


class Ended(Exception):
    """The stream ends, because of ``problem``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class Stay:
    """The stay of one stream.

    Args:
        standing: of its caller.
        stopping: set when the service begins to stop.
        grace_s: how long requests may take from then on.
        idle_s: seconds since a line was last worked on.
    """

    def __init__(
        self, standing: Standing, stopping: asyncio.Event, grace_s: float, idle_s: Callable[[], float]
    ) -> None:
        self._standing = standing
        self._stopping = stopping
        self._grace_s = grace_s
        self._idle_s = idle_s

    async def admit(self) -> None:
        """Count a line, which is a call of the stream's key; where they are too many, wait.

        Raises:
            Ended: the key does not let it in any more, or the service stops while it waits.
            Unavailable: the catalog cannot be asked about the key.
        """
        while True:
            try:
                await self._standing.ask_again(count=True)
                return
            except RateLimited as limited:
                # The key may end before a long rate's window does.
                if await self._stops_within(min(limited.retry_after_s, _ASK_AGAIN_S)):
                    raise Ended(_stopping()) from limited
            except (Unauthorised, Forbidden) as refused:
                raise Ended(refused) from refused

    async def end(self) -> Problem:
        """Return when the stream must end whatever comes on it, and why."""
        while not await self._stops_within(_ASK_AGAIN_S):
            try:
                await self._standing.ask_again(count=False)
            except (Unauthorised, Forbidden) as refused:
                return refused
            except Unavailable:
                continue
        # what has been sent by now is answered, but no caller who goes on can hold the service up
        began, pause_s = time.monotonic(), min(_PAUSE_S, self._grace_s / 4)
        at_last = began + self._grace_s / 2
        while (moment := time.monotonic()) < at_last and min(moment - began, self._idle_s()) < pause_s:
            await asyncio.sleep(0.02)
        return _stopping()

    async def _stops_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


def _stopping() -> Unavailable:
    return Unavailable("The service stops. Send this line, and those after it, again later.")
