"""How often somebody may ask."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

from service.clock import jumps, seconds_until
from service.problems import RateLimited
from service.storage.breaker import CircuitBreaker

__all__ = ["RateLimit"]

_log = logging.getLogger(__name__)

_SHARED_S: Final = 0.5
"""Longest that counting in Redis may take; then it is left alone for a while."""


class RateLimit:
    """How often one key (or, without keys, one address) may ask, or be refused: a moving window.

    In Redis where there is one, so that it outlasts a restart and services count together; where Redis
    does not answer, each process counts for itself.

    Args:
        rate: e.g. ``"600/minute"``; see the package ``limits``.
        redis_url: or None.
        counts: what is counted, in words.
    """

    def __init__(self, rate: str, redis_url: str | None, counts: str = "requests") -> None:
        self._counts = counts
        self._rate: RateLimitItem = parse(rate)
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._breaker = CircuitBreaker()
        self._jumps = jumps()
        self._shared: MovingWindowRateLimiter | None = None
        if redis_url is not None:
            # whose schemes are redis, rediss and redis+unix
            url = f"redis+{redis_url}" if redis_url.startswith("unix:") else redis_url
            storage = storage_from_string(f"async+{url}", implementation="redispy")
            assert isinstance(storage, Storage)
            self._shared = MovingWindowRateLimiter(storage)

    async def check(self, who: str, *, count: bool = True) -> None:
        """Count a request.

        Args:
            count: False: only look whether one more would be too many.

        Raises:
            RateLimited: there were too many in the window.
        """
        wait = await self._count_together(who, count)
        if wait is None:
            if self._jumps != (seen := jumps()):
                # requests are counted by the wall clock: after a jump back they would be in the future
                self._jumps = seen
                self._own = MovingWindowRateLimiter(MemoryStorage())
            wait = await self._count(self._own, who, count)
        if wait:
            raise RateLimited(f"There were more {self._counts} than {self._rate}.", retry_after_s=wait)

    async def _count_together(self, who: str, count: bool) -> int | None:
        """As :meth:`_count`, in Redis; None where there is none, or it does not answer."""
        if self._shared is None or not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(_SHARED_S):
                wait = await self._count(self._shared, who, count)
        except Exception as error:  # whatever the driver raises: Redis is away
            if self._breaker.failed():
                _log.warning("requests are counted in this process alone: %r", error)
            return None
        self._breaker.succeeded()
        return wait

    async def _count(self, limiter: MovingWindowRateLimiter, who: str, count: bool) -> int:
        """0 where it is within the rate, else how long to wait, seconds."""
        if await (limiter.hit if count else limiter.test)(self._rate, who):
            return 0
        reset = (await limiter.get_window_stats(self._rate, who)).reset_time
        return max(1, min(round(seconds_until(reset)), self._rate.get_expiry()))
