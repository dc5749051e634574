"""Letting the feature cache forget what was erased, however long it is away.

Notes are struck out by the cache that may hold what they name, and by no other: a service that runs without
the Redis that an earlier one used, or with another one, forgets what it has itself, and leaves the notes for
that Redis until whatever was put there has expired. That nothing else can be done then is no fault: nothing
is owed.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from service.clock import now
from service.embedding.features import Embedder
from service.storage.cache import SharedCache
from service.storage.catalog import Catalog
from service.storage.catalog.caches import NOTED_EVERY_S

__all__ = ["Forgetting"]

_AT_ONCE: Final = 1000


class Forgetting:
    """Takes what the catalog notes as erased out of the cache, and strikes it out when that is certain.

    Args:
        catalog: has the notes.
        embedders: of the models that are served, the present one first; they and their caches forget.
        shared: the cache, where it outlives the process.
        writing: held by whoever else writes notes, so that their numbers are in the order of their commits.

    Attributes:
        owed: whether there may be notes that nobody has worked off.
    """

    def __init__(
        self,
        catalog: Catalog,
        embedders: Sequence[Embedder],
        shared: SharedCache | None,
        writing: threading.Lock,
    ) -> None:
        self._catalog = catalog
        self._embedders = embedders
        self._models = [embedder.fingerprint for embedder in embedders]
        self._shared = shared
        self._writing = writing
        self._turn = asyncio.Lock()
        self._look_again_at = -math.inf
        self._elsewhere_until: datetime | None = None
        self._passed = 0  # number of the last note that is worked off here and left for another
        self._begin_again = False
        self.owed = True  # what an earlier process left

    @property
    def due(self) -> bool:
        """Whether it is time to :meth:`look` again, and to see whether notes were kept for long enough."""
        return time.monotonic() >= self._look_again_at

    def look(self) -> None:
        """Note that this cache is in use, before it is, and look which others may hold anything.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the catalog does not answer.
        """
        self._elsewhere_until = self._catalog.caches.note(self._shared)
        self._look_again_at = time.monotonic() + NOTED_EVERY_S

    def begin_again(self) -> None:
        """Work off all notes anew: one may have been committed behind others that were worked off."""
        self._begin_again = True
        self.owed = True

    async def forget(self) -> None:
        """Work off all notes, as far as the cache answers; :attr:`owed` tells.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the catalog does not answer.
        """
        async with self._turn:
            self.owed = False  # before looking: what is owed from here on must not be denied at the end
            done = False
            try:
                done = await self._work_off()
            finally:
                self.owed = self.owed or not done

    async def forget_unstored(self, digests: Collection[str]) -> None:
        """Forget pictures that were embedded and are not in the catalog, where no erasure would find them.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the catalog does not answer.
        """
        seen = [(self._models[0], digest) for digest in digests]
        await asyncio.to_thread(self._note, seen)
        await self.forget()

    def _note(self, seen: Collection[tuple[str, str]]) -> None:
        with self._writing:
            self._catalog.erased.note(seen)

    async def _work_off(self) -> bool:
        if self.due:
            await asyncio.to_thread(self.look)
        left_for_another = self._elsewhere_until is not None and now() < self._elsewhere_until
        if self._begin_again or not left_for_another:
            self._begin_again, self._passed = False, 0
        while noted := await asyncio.to_thread(self._catalog.erased.noted, _AT_ONCE, self._passed):
            # of the model that enrolled it, and of those that are served, by which it was asked about
            seen = {(model, one.digest) for one in noted for model in (one.fingerprint, *self._models)}
            if not all([await embedder.forget(seen) for embedder in self._embedders]):
                return False
            if left_for_another:
                self._passed = noted[-1].number
            else:
                await asyncio.to_thread(self._catalog.erased.strike_out, [one.number for one in noted])
        return True
