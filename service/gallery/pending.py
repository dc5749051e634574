"""How many pictures of a gallery cannot be compared, since another model made their features."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Final

from service.storage.catalog import Catalog

__all__ = ["Pending"]

_log = logging.getLogger(__name__)

_SHARE: Final = 20
"""A count is used for so many times as long as it took: counting takes a twentieth of the time at most."""

_MOST: Final = 10_000
"""Counts that are remembered."""


class Pending:
    """Counts them.

    None becomes pending while a service runs: once there is none, there is none from then on.

    Args:
        catalog: where they are counted.
        present: fingerprint of the present model.
    """

    def __init__(self, catalog: Catalog, present: str) -> None:
        self._catalog = catalog
        self._present = present
        self._counted: dict[tuple[int, str], tuple[int, float]] = {}  # and until when it holds
        self._counting: set[tuple[int, str]] = set()  # what one thread counts, the others take as it was

    def warn(self, waiting: Collection[int]) -> None:
        """Say in the log which galleries have such pictures.

        Args:
            waiting: numbers of the galleries that the previous model answers for; of them nothing is said.
        """
        for gallery, name, count in self._catalog.pending.by_gallery(self._present):
            if gallery not in waiting:
                _log.warning(
                    "gallery %s: %d pictures cannot be compared, for another model made their features. Of "
                    "those whose bytes were kept, `penumbra galleries reindex %s` makes them again; until "
                    "then, PENUMBRA_PREVIOUS_BUNDLE can name the model that made them",
                    name,
                    count,
                    name,
                )

    def count(self, gallery: int, fingerprint: str) -> int:
        """How many pictures of a gallery this model, the present or the previous one, has no features of."""
        which = (gallery, fingerprint)
        known = self._counted.get(which)
        if known is not None and (time.monotonic() < known[1] or which in self._counting):
            return known[0]
        self._counting.add(which)
        try:
            began = time.monotonic()
            if fingerprint == self._present:
                count = self._catalog.pending.count(gallery, fingerprint)
            else:
                count = self._catalog.previous.unmade(gallery, fingerprint)
            ended = time.monotonic()
        finally:
            self._counting.discard(which)
        if len(self._counted) >= _MOST:
            self._counted.clear()
        until = ended + _SHARE * (ended - began) if count else float("inf")
        self._counted[which] = count, until
        return count
