"""Letting the feature cache forget what was erased, however long it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from service.embedding.features import Embedder
from service.storage.catalog import Catalog

__all__ = ["Forgetting"]

_AT_ONCE: Final = 1000


class Forgetting:
    """Takes what the catalog notes as erased out of the cache, and strikes it out when that is certain.

    Args:
        catalog: has the notes.
        embedders: of the models that are served, the present one first; they and their caches forget.

    Attributes:
        owed: whether there may be notes that nobody has worked off.
    """

    def __init__(self, catalog: Catalog, embedders: Sequence[Embedder]) -> None:
        self._catalog = catalog
        self._embedders = embedders
        self._models = [embedder.fingerprint for embedder in embedders]
        self._turn = asyncio.Lock()
        self.owed = True  # what an earlier process left

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
        await asyncio.to_thread(self._catalog.erased.note, seen)
        await self.forget()

    async def _work_off(self) -> bool:
        while noted := await asyncio.to_thread(self._catalog.erased.noted, _AT_ONCE):
            # of the model that enrolled it, and of those that are served, by which it was asked about
            seen = {(model, one.digest) for one in noted for model in (one.fingerprint, *self._models)}
            if not all([await embedder.forget(seen) for embedder in self._embedders]):
                return False
            await asyncio.to_thread(self._catalog.erased.strike_out, [one.number for one in noted])
        return True
