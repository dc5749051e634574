"""Letting the feature cache forget what was erased, however long it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from service.embedding.features import Embedder
from service.storage.catalog import Catalog

__all__ = ["Forgetting"]

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 1000


class Forgetting:
    """Takes what the catalog notes as erased out of the cache, and strikes it out when that is certain.

    Args:
        catalog: has the notes.
        embedder: of the present model; its cache forgets.
        others: fingerprints of further models that are served.

    Attributes:
        owed: whether there may be notes that nobody has worked off.
    """

    def __init__(self, catalog: Catalog, embedder: Embedder, others: Sequence[str] = ()) -> None:
        self._catalog = catalog
        self._embedder = embedder
        self._models = (embedder.fingerprint, *others)
        self.owed = True  # what an earlier process left

    async def forget(self) -> None:
        """Work off all notes, as far as the cache answers; :attr:`owed` tells.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the catalog does not answer.
        """
        self.owed = True
        while noted := await asyncio.to_thread(self._catalog.erased.noted, _AT_ONCE):
            # of the model that enrolled it, and of those that are served, by which it was asked about
            seen = {(model, one.digest) for one in noted for model in (one.fingerprint, *self._models)}
            if not await self._embedder.forget(seen):
                return
            await asyncio.to_thread(self._catalog.erased.strike_out, [one.number for one in noted])
        self.owed = False
