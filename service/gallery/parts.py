"""What every part of a gallery works with, and the threads it works in."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from models.calibration import Calibration
from service.embedding.features import Embedder
from service.gallery.doubts import Doubt, settle
from service.gallery.forgetting import Forgetting
from service.gallery.generation import Generation, Previous
from service.index.paired import PairedIndex
from service.index.protocol import VectorIndex
from service.problems import DeadlineExceeded, IndexBehind, NotFollowed
from service.storage.cache import SharedCache
from service.storage.catalog import Catalog
from service.storage.database import CommitInDoubt
from service.storage.faults import storage_problem
from service.storage.pictures import PictureStore, PictureStoreAway
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
        present: embedder, index and calibration together.
        previous: the model that was served before, where galleries still wait; else None.
        deadline_s: how long what is asked for may wait until it begins, for a thread or for other changes.
        forgetting: takes what was erased out of the feature cache, which may outlive the process
            (``shared_cache``).
    """

    def __init__(
        self,
        catalog: Catalog,
        index: VectorIndex,
        embedder: Embedder,
        pictures: PictureStore,
        calibration: Calibration | None = None,
        snapshots: Snapshots | None = None,
        previous: Previous | None = None,
        deadline_s: float = 30.0,
        shared_cache: SharedCache | None = None,
    ) -> None:
        self.catalog: Final = catalog
        self.index: Final = index if previous is None else PairedIndex(index, previous.index)
        self.embedder: Final = embedder
        self.pictures: Final = pictures
        self.calibration: Final = calibration
        self.snapshots: Final = snapshots
        self.present: Final = Generation(embedder, self.index, calibration)
        self.previous: Final = previous
        embedders = [embedder] if previous is None else [embedder, previous.embedder]
        self._writes = threading.Lock()
        self.forgetting: Final = Forgetting(catalog, embedders, shared_cache, self._writes)
        self.deadline_s: Final = deadline_s
        self._begins = threading.local()  # until: when this thread's work must have its turn
        self._doubts: list[Doubt] = []
        self._behind = False
        self._closing = False
        self._unremoved: dict[tuple[int, str], None] = {}  # as sets that keep their order
        self._undropped: dict[int, None] = {}
        # queries have their own threads, so that they never wait behind commits
        self._writers = ThreadPoolExecutor(_WRITE_THREADS, "galleries-write")
        self._readers = ThreadPoolExecutor(_READ_THREADS, "galleries-read")

    @property
    def behind(self) -> bool:
        """Whether the index failed to follow the catalog, and has not caught up since."""
        return self._behind

    @property
    def pictures_owed(self) -> bool:
        """Whether the picture store may still have files of what was erased."""
        return bool(self._unremoved or self._undropped) or self.pictures.unswept

    @property
    def owes(self) -> bool:
        """Whether :meth:`mend` has anything to do."""
        left = self._doubts or self.pictures_owed
        return bool(left or self.catalog.database.unforgotten or self.forgetting.owed)

    @property
    def closing(self) -> bool:
        """Whether :meth:`close` waits for what was begun; what takes long and can be left, is left."""
        return self._closing

    async def read(self, work: Callable[[], Result]) -> Result:
        """Do work that only reads, in a thread. It is not waited for beyond the deadline.

        What has begun by then goes on in its thread, for nobody: a PostgreSQL that is frozen answers when it
        is let go.

        Raises:
            DeadlineExceeded: it was not done in time.
        """
        return await self._in_time(self._readers, work, to_the_end=False)

    async def write(self, work: Callable[[], Result]) -> Result:
        """Do work that changes something, in a thread; begun, it ends whether or not its caller stays.

        It has begun when it has its first :meth:`step`. From there on it has no deadline, for an answer that
        it was not done could be untrue; what it waits for is bounded: for SQLite by ``busy_timeout``, for
        PostgreSQL by ``lock_timeout`` and, where the server's machine is gone, by TCP.

        Raises:
            DeadlineExceeded: it could not begin, and does not begin any more; nothing was changed.
        """
        return await self._in_time(self._writers, work, to_the_end=True)

    async def _in_time(
        self, threads: ThreadPoolExecutor, work: Callable[[], Result], to_the_end: bool
    ) -> Result:
        until = time.monotonic() + self.deadline_s

        def begin() -> Result:
            if time.monotonic() > until:
                raise self._too_late()
            self._begins.until = until
            return work()

        waiting = threads.submit(begin)
        answer = asyncio.wrap_future(waiting)
        try:
            await asyncio.wait({answer}, timeout=self.deadline_s)
        except asyncio.CancelledError:
            answer.cancel()
            raise
        if not answer.done() and (waiting.cancel() or not to_the_end):
            answer.cancel()
            raise self._too_late()
        return await answer

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"This could not be done within {self.deadline_s:g} s: the service has more to do than it can, "
            "or the catalog is held up. Nothing was changed; try again later."
        )

    @contextmanager
    def step(self, about: Callable[[Any], Doubt]) -> Iterator[Callable[[Any], None]]:
        """Hold the lock under which the catalog commits and the index follows, which is one step.

        Args:
            about: what a commit was about, from what its work returned, should it end in doubt.

        Yields:
            To be called with what the commit's work returned, once it is done: where the index then fails to
            follow, e.g. for want of memory, that is settled as a commit in doubt is.

        Raises:
            DeadlineExceeded: others had the lock for too long; nothing was changed.
            IndexBehind: what was in doubt could not be settled; nothing was changed.
            NotFollowed: what was done is in the catalog, and the index failed to follow.
        """
        until, self._begins.until = getattr(self._begins, "until", None), None
        if not self._writes.acquire(timeout=-1 if until is None else max(0.0, until - time.monotonic())):
            raise self._too_late()
        done: list[Any] = []
        try:
            self._settle_first()
            try:
                yield done.append
            except BaseException as error:
                if isinstance(error, CommitInDoubt):
                    self.owe(about(error.result))
                elif done:
                    _log.exception("the index did not follow the catalog, and will be brought to it")
                    self.owe(about(done[0]))
                    self._behind = True
                    if isinstance(error, Exception):
                        raise NotFollowed from error
                raise
        finally:
            self._writes.release()

    def owe(self, doubt: Doubt) -> None:
        """Let what a commit was about be settled before anything else is changed."""
        self._doubts.append(doubt)
        self.forgetting.begin_again()

    async def mend(self) -> bool:
        """See :meth:`service.gallery.Galleries.mend`.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the catalog does not answer.
        """
        try:
            if self._doubts:
                await self.write(self._settle_alone)
        finally:  # what cannot be settled keeps nothing else from being removed and forgotten
            await self._mend_the_rest()
        return not self.owes

    async def _mend_the_rest(self) -> None:
        if self.pictures_owed:
            await self.write(self._remove_again)
        if self.catalog.database.unforgotten:
            await self.write(self.catalog.database.forget_owed)
        if self.forgetting.owed or self.forgetting.due:
            await self.forgetting.forget()

    def answering(self, gallery: int) -> Generation:
        """The model that answers for a gallery at this moment."""
        previous = self.previous
        return previous if previous is not None and gallery in previous.galleries else self.present

    async def key(self, gallery: str) -> GalleryKey:
        """What a gallery's name stands for.

        Raises:
            UnknownGallery: there is none.
        """
        key = self.catalog.galleries.key_at_hand(gallery)
        return await self.read(lambda: self.catalog.galleries.key(gallery)) if key is None else key

    def remove_pictures(self, gallery: int, ids: Iterable[str]) -> None:
        """Remove kept pictures; one that cannot be removed now is tried again by :meth:`mend`."""
        for id in ids:
            try:
                self.pictures.remove(gallery, id)
            except OSError as error:
                _log.warning("picture %s cannot be removed, and is tried again: %s", id, error)
                self._unremoved[gallery, id] = None

    def drop(self, gallery: int) -> None:
        """Take a gallery that the catalog has forgotten out of index, snapshots and picture store."""
        self.index.drop(gallery)
        if self.snapshots is not None:
            self.snapshots.drop(gallery)
        try:
            self.pictures.drop(gallery)  # also of a gallery that has stopped keeping them
        except OSError as error:
            _log.warning("pictures of gallery number %d cannot be removed yet: %s", gallery, error)
            self._undropped[gallery] = None

    def sweep_pictures(self) -> int:
        """Remove files that no catalog row speaks of; where the store is away, :meth:`mend` does it.

        Returns:
            How many were removed now.
        """
        try:
            return self.pictures.sweep(self.catalog.kept_pictures)
        except PictureStoreAway as error:
            _log.warning(
                "no picture is taken, and what was erased may have files, until it is back: %s", error
            )
            return 0

    def _remove_again(self) -> None:
        try:
            if self.pictures.unswept:
                self.pictures.sweep(self.catalog.kept_pictures)
            self.pictures.look()
        except OSError as error:  # it was told when it began
            _log.debug("files of what was erased wait for the picture store: %s", error)
            return
        for picture in list(self._unremoved):
            if _is_done(self.pictures.remove, *picture):
                self._unremoved.pop(picture)
        for gallery in list(self._undropped):
            if _is_done(self.pictures.drop, gallery):
                self._undropped.pop(gallery)
        if not self.pictures_owed:
            _log.info("the files of what was erased that could not be removed are gone")

    def _settle_alone(self) -> None:
        with self._writes:
            self._settle()

    def _settle_first(self) -> None:
        try:
            self._settle()
        except Exception as error:
            if storage_problem(error) is not None:
                raise
            _log.warning("a change is refused, for the index cannot follow the catalog: %r", error)
            raise IndexBehind from error

    def _settle(self) -> None:
        while self._doubts:
            try:
                settle(self, self._doubts[0])
            except Exception as error:
                self._behind = self._behind or storage_problem(error) is None
                raise
            self._doubts.pop(0)
            self.forgetting.begin_again()  # who looked for notes before may have come before the commit
        self._behind = False

    async def close(self) -> None:
        """Finish what was begun. Catalog, embedder and cache are closed by whoever made them."""
        self._closing = True
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)


def _is_done(remove: Callable[..., None], *what: object) -> bool:
    try:
        remove(*what)
    except OSError as error:
        _log.debug("a file of what was erased cannot be removed yet: %s", error)
        return False
    return True
