"""Whether the catalog answers: looked at once for all who want to know at about the same time."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from service.storage.database import Database

__all__ = ["CatalogProbe"]

_log = logging.getLogger(__name__)

_SHARED_S: Final = 0.5
"""How long an answer counts: anybody may ask, without a key and as often as they like."""

_PATIENCE_S: Final = 2.0


class CatalogProbe:
    """Reads one row of the catalog, in a thread of its own. While a look hangs, no more follow it.

    Args:
        database: of the catalog.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, "catalog-probe")
        self._looked_at = 0.0
        self._look: asyncio.Future[bool] | None = None

    def close(self) -> None:
        """Look no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def answers(self) -> bool:
        """Whether it answers, as of half a second ago at most."""
        moment = time.monotonic()
        if self._look is None or (self._look.done() and moment - self._looked_at > _SHARED_S):
            self._looked_at = moment
            self._look = asyncio.get_running_loop().run_in_executor(self._thread, self._answers)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await asyncio.shield(self._look)
        except TimeoutError:
            _log.warning("the catalog has not answered for %.1f s", time.monotonic() - self._looked_at)
            return False

    def _answers(self) -> bool:
        try:
            self._database.look()
        except Exception:  # whatever the database's driver raises: it does not answer
            _log.exception("the catalog does not answer")
            return False
        return True
