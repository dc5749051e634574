"""No answer takes longer than its deadline, whatever it waits for: the model, a thread, the catalog."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.problems import DeadlineExceeded

__all__ = ["within"]


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Give up what is done in this context after so many seconds. What waits for a thread is never begun.

    Only around what changes nothing: what a thread has begun, it ends.

    Raises:
        DeadlineExceeded: it was not done.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlineExceeded(
            f"The answer was not ready within {seconds:g} s: the service has more to do than it can. "
            "Try again later."
        ) from error
