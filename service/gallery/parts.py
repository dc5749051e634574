"""What every part of a gallery works with, and the threads it works in."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from models.calibration import Calibration
from service.embedding.features import Embedder
from service.index.protocol import VectorIndex
from service.storage.catalog import Catalog
from service.storage.pictures import PictureStore
from service.storage.records import GalleryKey
from service.storage.snapshots import Snapshots

__all__ = ["Parts"]

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

_WRITE_THREADS: Final = 4
_READ_THREADS: Final = 8


class Parts:
    """Catalog, index, embedder and stores of one service.

    Attributes:
        catalog: the truth.
        index: what queries search; derived from the catalog.
        embedder: the present model.
        pictures: where galleries that keep pictures put them.
        calibration: what the present model's scores mean; None where nobody knows.
        snapshots: features for a quick start; None: the catalog's alone.
        writes: held while the catalog commits and the index follows, which is one step.
    """

    def __init__(
        self,
        catalog: Catalog,
        index: VectorIndex,
        embedder: Embedder,
        pictures: PictureStore,
        calibration: Calibration | None,
        snapshots: Snapshots | None,
    ) -> None:
        self.catalog: Final = catalog
        self.index: Final = index
        self.embedder: Final = embedder
        self.pictures: Final = pictures
        self.calibration: Final = calibration
        self.snapshots: Final = snapshots
        self.writes: Final = threading.Lock()
        # queries have their own threads, so that they never wait behind commits
        self._writers = ThreadPoolExecutor(_WRITE_THREADS, "galleries-write")
        self._readers = ThreadPoolExecutor(_READ_THREADS, "galleries-read")

    async def read(self, work: Callable[[], Result]) -> Result:
        """Do work that only reads, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def write(self, work: Callable[[], Result]) -> Result:
        """Do work that changes something, in a thread; begun, it ends whether or not its caller stays."""
        return await asyncio.get_running_loop().run_in_executor(self._writers, work)

    async def key(self, gallery: str) -> GalleryKey:
        """What a gallery's name stands for.

        Raises:
            UnknownGallery: there is none.
        """
        key = self.catalog.galleries.key_at_hand(gallery)
        return await self.read(lambda: self.catalog.galleries.key(gallery)) if key is None else key

    def remove_pictures(self, gallery: int, ids: Iterable[str]) -> None:
        """Remove kept pictures; one that cannot be removed is swept away at the next start."""
        for id in ids:
            try:
                self.pictures.remove(gallery, id)
            except OSError:
                _log.exception("picture %s stays until the next start", id)

    async def close(self) -> None:
        """Finish what was begun. Catalog, embedder and cache are closed by whoever made them."""
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
