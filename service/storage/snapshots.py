"""Snapshots: the index's features in files of their own, so that a start need not gather them row by row.

A snapshot is derived and never trusted with more than it can prove. What pictures there are, whom they show
and how they are graded, the catalog tells at every start; a snapshot gives the features of those that it
holds under seal (:mod:`service.storage.snapshot_file`), and the catalog those of the rest. So it needs no
moment at which it is consistent: it is written picture by picture, a little behind the catalog.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import numpy as np

from service.storage.catalog import Catalog
from service.storage.records import ComparablePictures, StoredFeatures
from service.storage.snapshot_file import Records, SnapshotFile, SnapshotRefused

__all__ = ["Snapshots", "remove_snapshots"]

_log = logging.getLogger(__name__)

_SUFFIX: Final = ".snapshot"
_AT_ONCE: Final = 256  # pictures written under the lock; an erasure waits at most for so many
_READ_AT_ONCE: Final = 1024
_LEFT_FREE: Final = 256 * 1024 * 1024
"""Bytes of the disk that snapshots leave free: the catalog needs them more."""


class Snapshots:
    """The snapshots of one catalog's galleries, for one model. Safe to call from several threads at once.

    Call :meth:`load` before anything else, :meth:`close` at the end.

    Args:
        folder: of the files, for one service alone; made where missing.
        catalog: the truth.
        model: fingerprint of the present model.
        dimension: D of its features.
        pause_s: between two rounds of writing.
    """

    def __init__(
        self, folder: Path, catalog: Catalog, model: str, dimension: int, pause_s: float = 10.0
    ) -> None:
        self._folder = folder
        self._catalog = catalog
        self._model = model
        self._dimension = dimension
        self._pause_s = pause_s
        self._lock = threading.Lock()  # of the files
        self._files: dict[int, SnapshotFile] = {}
        self._claim: IO[bytes] | None = None
        self._noting = threading.Lock()  # of the numbers that are to be written
        self._to_write: dict[int, deque[int]] = {}
        self._ending = threading.Event()
        self._writer: threading.Thread | None = None

    def load(self) -> Iterator[StoredFeatures]:
        """All features of the present model, gallery by gallery; whatever a snapshot lacks, from the catalog.

        Files that belong to no gallery, another model or another catalog are removed, damaged ones mended.
        """
        began = time.perf_counter()
        galleries = self._catalog.galleries.numbers()
        if self._take_folder():
            self._sweep(galleries)
        from_snapshots = from_catalog = 0
        for gallery in galleries:
            pictures = self._catalog.features.comparable(gallery, self._model)
            missing = np.ones(len(pictures.numbers), dtype=np.bool_)
            for records in self._read(gallery, pictures):
                at = np.searchsorted(pictures.numbers, records.numbers)
                missing[at] = False
                from_snapshots += len(at)
                yield _stored(gallery, pictures, records)
            numbers = pictures.numbers[missing].tolist()
            for start in range(0, len(numbers), _READ_AT_ONCE):
                wanted = numbers[start : start + _READ_AT_ONCE]
                yield _stored(gallery, pictures, self._catalog.features.records(gallery, self._model, wanted))
            from_catalog += len(numbers)
            self.note(gallery, numbers)
        _log.info(
            "features of %d pictures read in %.1f s: %d from snapshots, %d from the catalog",
            from_snapshots + from_catalog,
            time.perf_counter() - began,
            from_snapshots,
            from_catalog,
        )

    def start(self) -> None:
        """Begin to write in the background what :meth:`note` tells."""
        if self._claim is not None:
            self._writer = threading.Thread(target=self._work, name="snapshots", daemon=True)
            self._writer.start()

    def note(self, gallery: int, numbers: Iterable[int]) -> None:
        """Say of pictures that their features are in the catalog and in no snapshot yet."""
        if self._claim is not None:
            with self._noting:
                self._to_write.setdefault(gallery, deque()).extend(numbers)

    def write(self, until: Callable[[], bool] = lambda: False) -> int:
        """Write what was noted, unless ``until`` says that it is enough.

        Returns:
            How many pictures were written.

        Raises:
            OSError, sqlalchemy.exc.SQLAlchemyError: it could not be done; what was not written stays noted.
        """
        written = 0
        while not until() and (noted := self._some_noted()) is not None:
            gallery, numbers = noted
            try:
                # Read and written under one lock, so that an erasure comes before the reading, which then
                # does not find the picture, or after the writing, and overwrites it.
                with self._lock:
                    records = self._catalog.features.records(gallery, self._model, numbers)
                    self._add(gallery, records)
            except BaseException:
                self.note(gallery, numbers)
                raise
            written += len(records.numbers)
        return written

    def erase(self, gallery: int, numbers: Sequence[int]) -> None:
        """Let no file hold features of these pictures; to be called when the catalog has forgotten them."""
        with self._lock:
            file = self._files.get(gallery)
            if file is None:
                return
            try:
                file.erase(numbers)
            except OSError:
                _log.exception("pictures cannot be erased from the snapshot of gallery number %d", gallery)
                self._remove(gallery)

    def drop(self, gallery: int) -> None:
        """Remove a gallery's snapshot; to be called when the catalog has forgotten the gallery."""
        with self._lock:
            self._remove(gallery)

    def close(self, limit_s: float = 10.0) -> None:
        """Write what is left, for at most ``limit_s`` seconds, and end.

        Where another service has taken the catalog over, the files are removed instead.
        """
        self._ending.set()
        if self._writer is not None:
            self._writer.join()
            ends = time.monotonic() + limit_s
            self._try_to_write(lambda: time.monotonic() > ends)
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()
            if self._claim is not None and self._catalog.lost:  # who has it now erases nothing from here
                for path in self._folder.glob(f"*{_SUFFIX}"):
                    path.unlink(missing_ok=True)
            if self._claim is not None:
                self._claim.close()
                self._claim = None

    def _work(self) -> None:
        while not self._ending.wait(self._pause_s):
            self._try_to_write(self._ending.is_set)

    def _try_to_write(self, until: Callable[[], bool]) -> None:
        try:
            self.write(until)
        except Exception as error:  # a full disk, a catalog that is away: the next round does it
            _log.warning("snapshots could not be written, a start would take longer: %s", error)

    def _some_noted(self) -> tuple[int, list[int]] | None:
        with self._noting:
            for gallery, numbers in list(self._to_write.items()):
                if numbers:
                    return gallery, [numbers.popleft() for _ in range(min(_AT_ONCE, len(numbers)))]
                del self._to_write[gallery]
        return None

    # With the lock held, or before there are other threads

    def _take_folder(self) -> bool:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._claim = _claimed(self._folder)
        except OSError as error:
            _log.warning("no snapshots can be kept, the next start takes longer: %s", error)
            return False
        if self._claim is None:
            _log.warning("no snapshots are kept: another service keeps its own in %s", self._folder)
        return self._claim is not None

    def _sweep(self, galleries: Sequence[int]) -> None:
        known = {self._path(gallery) for gallery in galleries}
        for path in self._folder.glob(f"*{_SUFFIX}"):
            if path not in known:
                _log.info("%s is of no gallery of this catalog and is removed", path)
                path.unlink()

    def _read(self, gallery: int, pictures: ComparablePictures) -> Iterator[Records]:
        path = self._path(gallery)
        if self._claim is None or not path.exists():
            return
        try:
            file = self._files[gallery] = self._open(gallery)
            yield from file.read(pictures.numbers, pictures.ids)
        except (OSError, SnapshotRefused) as error:
            _log.warning("%s is not used and is made anew: %s", path, error)
            self._remove(gallery)
            return
        if file.damaged:
            _log.warning("%s: %d damaged pictures are read from the catalog", path, file.damaged)

    def _add(self, gallery: int, records: Records) -> None:
        if not len(records.numbers):
            return
        if gallery not in self._files:
            self._files[gallery] = self._open(gallery)
        file = self._files[gallery]
        left = shutil.disk_usage(self._folder).free - len(records.numbers) * file.record_bytes
        if left < _LEFT_FREE:
            raise OSError(f"the disk is nearly full; {_LEFT_FREE:,} bytes of it are left to the catalog")
        file.write(records)

    def _open(self, gallery: int) -> SnapshotFile:
        return SnapshotFile(self._path(gallery), self._catalog.id, gallery, self._model, self._dimension)

    def _remove(self, gallery: int) -> None:
        file = self._files.pop(gallery, None)
        if file is not None:
            file.close()
        try:
            self._path(gallery).unlink(missing_ok=True)
        except OSError:
            _log.exception("the snapshot of gallery number %d stays until the next start", gallery)

    def _path(self, gallery: int) -> Path:
        return self._folder / f"{gallery}{_SUFFIX}"


def remove_snapshots(folder: Path) -> None:
    """Remove what a service left that kept snapshots: the erasures of one that keeps none do not reach it.

    Another service that keeps its own there now keeps them.

    Raises:
        OSError: it cannot be removed.
    """
    if not folder.exists():
        return
    claim = _claimed(folder)
    if claim is None:
        _log.warning("the snapshots in %s stay: another service keeps them", folder)
        return
    with claim:
        shutil.rmtree(folder)


def _claimed(folder: Path) -> IO[bytes] | None:
    """The folder's lock, held until it is closed; None where another service holds it."""
    claim = (folder / "owner").open("ab")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        claim.close()
        return None
    except OSError:
        claim.close()
        raise
    return claim


def _stored(gallery: int, pictures: ComparablePictures, records: Records) -> StoredFeatures:
    """Features as the index takes them, with what the catalog says of the pictures."""
    at = np.searchsorted(pictures.numbers, records.numbers)
    return StoredFeatures(
        gallery, records.numbers, pictures.people[at], pictures.occlusions[at], records.features
    )
