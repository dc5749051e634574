"""The mender: what a fault of database, disk or cache left undone is done as soon as it can be."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from service.gallery import Galleries
from service.problems import DeadlineExceeded
from service.recurring import Recurring

__all__ = ["Mender"]

_log = logging.getLogger(__name__)


class Mender(Recurring):
    """Looks every second whether something is owed; where nothing is, that costs nothing.

    What is still owed to the feature cache at the end is in the catalog; the rest is done by a start.

    Args:
        galleries: know what is owed.
        pause_s: between two looks; doubled while what is owed cannot be done.
        longest_s: the pause never grows beyond this.
    """

    def __init__(self, galleries: Galleries, pause_s: float = 1.0, longest_s: float = 15.0) -> None:
        self._galleries = galleries
        self._pause_s = pause_s
        self._longest_s = longest_s

    async def _work(self) -> None:
        pause_s = self._pause_s
        while True:
            done = False
            try:
                done = await self._galleries.mend()
            except (SQLAlchemyError, DeadlineExceeded) as error:
                _log.debug("the catalog does not answer, mending waits: %s", error)
            except Exception:
                _log.exception("what a fault left undone could not be done")
            pause_s = self._pause_s if done else min(2 * pause_s, self._longest_s)
            await asyncio.sleep(pause_s)
