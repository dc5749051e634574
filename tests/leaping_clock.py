"""An event loop that waits for nothing: its clock leaps to what is next, so that nothing is ever late."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar
from unittest import mock

__all__ = ["leaping"]

Result = TypeVar("Result")


class _Leaping(selectors.DefaultSelector):
    """Where nothing is ready, the time that would be waited has passed."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout is not None:
            self.now += timeout
        return ready


def leaping(work: Coroutine[Any, Any, Result]) -> Result:
    """Run what has no threads and talks to nobody; ``time.monotonic`` is the loop's clock meanwhile."""
    selector = _Leaping()
    with (
        mock.patch("time.monotonic", selector.time),
        asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner,
    ):
        return runner.run(work)
