"""The mender: what a fault of database, disk or cache left undone is done as soon as it can be."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from service.gallery import Galleries

__all__ = ["Mender"]

_log = logging.getLogger(__name__)


class Mender:
    """Looks every second whether something is owed; where nothing is, that costs nothing.

    Args:
        galleries: know what is owed.
        pause_s: between two looks; doubled while what is owed cannot be done.
        longest_s: the pause never grows beyond this.
    """

    def __init__(self, galleries: Galleries, pause_s: float = 1.0, longest_s: float = 15.0) -> None:
        self._galleries = galleries
        self._pause_s = pause_s
        self._longest_s = longest_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """End; what is still owed to the feature cache is in the catalog, the rest is done by a start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        pause_s = self._pause_s
        while True:
            done = False
            try:
                done = await self._galleries.mend()
            except SQLAlchemyError as error:
                _log.debug("the catalog does not answer, mending waits: %s", error)
            except Exception:
                _log.exception("what a fault left undone could not be done")
            pause_s = self._pause_s if done else min(2 * pause_s, self._longest_s)
            await asyncio.sleep(pause_s)
