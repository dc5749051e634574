"""Pictures' bytes, kept only for galleries that say so: a folder, or object storage by fsspec URL.

A file is ``<catalog id>/<gallery number>/<image id>.picture`` under the URL. It is written before the catalog
commits to it and removed after the catalog has forgotten it, so a fault in between leaves an orphan, never
a promise without a file; :meth:`PictureStore.sweep` removes orphans. The catalog's id in the path keeps a
service that was started on a wrong or fresh catalog from sweeping another catalog's pictures away. What says
that the store is there at all, and not an empty folder in its place, is its mark
(:mod:`service.storage.store_mark`); without it every call is :class:`PictureStoreAway`.

Beside a picture lies its thumbnail, ``<image id>.thumbnail``. It can be made again from the picture, so
nobody waits until it is on the disk; wherever the picture goes, it goes too.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from service.storage import ulid
from service.storage.store_mark import NAME, Noted, StoreMark, Unnoted
from service.storage.whole_file import PART, write_whole

_PICTURE: Final = ".picture"
_THUMBNAIL: Final = ".thumbnail"
_KINDS: Final = (_PICTURE, _THUMBNAIL)
_NAME: Final = re.compile(rf"(\d+)/({ulid.PATTERN.pattern})\.(?:picture|thumbnail)(?:\.part)?")


class PictureStoreError(ValueError):
    """Pictures cannot be kept at that URL. The message says why."""


class KeptFileLost(FileNotFoundError):
    """A picture's file is not there, or cannot be read, though the store answers."""


class PictureStoreAway(OSError):
    """The store does not answer for now; ``errno`` is the fault's where it has one."""


@dataclass(frozen=True, slots=True)
class KeptBytes:
    """What the files of a gallery take, in bytes."""

    pictures: int
    thumbnails: int


class PictureStore:
    """The pictures of one catalog.

    Args:
        url: fsspec URL of a folder, e.g. ``file:///data/pictures`` or ``s3://bucket/pictures``.
        catalog: the catalog's id.
        noted: what the catalog remembers of its pictures; unless given, nothing that outlives this object.

    Attributes:
        unswept: whether a sweep could not be done: until one is, no picture is taken.

    Raises:
        PictureStoreError: the URL's scheme is unknown, or its fsspec package is not installed.
    """

    def __init__(self, url: str, catalog: str, noted: Noted | None = None) -> None:
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise PictureStoreError(f"pictures cannot be kept at {url}: {error}") from error
        self._root = f"{str(root).rstrip('/')}/{catalog}"
        self._mark = StoreMark(self._files, self._root, noted or Unnoted())
        self._marking = threading.Lock()
        self.unswept = False

    def look(self) -> None:
        """Look whether pictures can be kept.

        Raises:
            PictureStoreAway: the store is not there, or was not and has yet to be swept.
        """
        self._be_there()
        if self.unswept:  # a sweep takes a picture that is being enrolled for an orphan
            raise PictureStoreAway(None, "the picture store has yet to be swept of what was erased meanwhile")

    def _be_there(self) -> None:
        try:
            self._mark.look()
        except FileNotFoundError as error:
            raise PictureStoreAway(
                error.errno,
                f"the picture store is not there: {self._mark.path} is missing, which says that pictures are "
                "kept here. It is not mounted, or PENUMBRA_PICTURES_URL has changed. Where its pictures are "
                "lost for good, an empty file of that name lets the service go on without them",
            ) from error
        except Exception as error:  # whatever the store's driver raises
            raise _away(error) from error

    def write(self, gallery: int, image: str, content: bytes) -> None:
        """Keep a picture; when this returns, it is durable (on local disks: synced).

        Raises:
            PictureStoreAway: it could not be written.
        """
        self._write(self._path(gallery, image, _PICTURE), content, durably=True)

    def write_thumbnail(self, gallery: int, image: str, content: bytes) -> None:
        """Keep the thumbnail of a picture that is kept.

        Raises:
            PictureStoreAway: it could not be written.
        """
        self._write(self._path(gallery, image, _THUMBNAIL), content, durably=False)

    def read(self, gallery: int, image: str) -> bytes:
        """A picture's bytes.

        Raises:
            KeptFileLost: its file is not there, or cannot be read.
            PictureStoreAway: the store does not answer.
        """
        try:
            return bytes(self._files.cat_file(self._path(gallery, image, _PICTURE)))
        except Exception as error:  # whatever the store's driver raises
            if self._is_lost(error):
                raise KeptFileLost(
                    f"the file of picture {image} cannot be read: {type(error).__name__}"
                ) from error
            raise _away(error) from error

    def read_thumbnail(self, gallery: int, image: str) -> bytes | None:
        """A picture's thumbnail; None where there is none that can be read."""
        try:
            content = bytes(self._files.cat_file(self._path(gallery, image, _THUMBNAIL)))
        except Exception:  # as above; it can be made again from the picture, if that can be read
            return None
        return content or None  # after a power cut its file may be there and empty

    def _is_lost(self, error: Exception) -> bool:
        """Whether a fault of reading is of that file alone."""
        if isinstance(self._files, LocalFileSystem):
            of_a_file = isinstance(error, OSError)
        else:
            of_a_file = isinstance(error, FileNotFoundError | IsADirectoryError)  # so the store has answered
        try:
            self._be_there()
        except PictureStoreAway:
            return False
        return of_a_file

    def remove(self, gallery: int, image: str) -> None:
        """Remove a picture with its thumbnail and what was begun of either; what is not there is passed over.

        Raises:
            PictureStoreAway: it could not be removed.
        """
        self._be_there()
        failed: OSError | None = None
        begun = [kind + PART for kind in _KINDS if isinstance(self._files, LocalFileSystem)]
        for kind in (*_KINDS, *begun):
            try:
                with _asked():
                    self._files.rm_file(self._path(gallery, image, kind))
            except FileNotFoundError:
                continue
            except OSError as error:
                failed = error  # the others go nevertheless
        if failed is not None:
            raise failed

    def remove_thumbnail(self, gallery: int, image: str) -> None:
        """Remove a thumbnail, which can be made again as long as its picture is there.

        Raises:
            PictureStoreAway: it could not be removed.
        """
        self._be_there()
        with suppress(FileNotFoundError), _asked():
            self._files.rm_file(self._path(gallery, image, _THUMBNAIL))

    def drop(self, gallery: int) -> None:
        """Remove all pictures of a gallery; what goes by itself meanwhile is passed over.

        Raises:
            PictureStoreAway: they could not be removed, or one was written meanwhile.
        """
        self._be_there()
        folder = f"{self._root}/{gallery}"
        if isinstance(self._files, LocalFileSystem):
            with _asked():
                _remove_folder(folder)
            return
        self._files.invalidate_cache(folder)
        with suppress(FileNotFoundError), _asked():
            self._files.rm(folder, recursive=True)
        # A driver that met a file that had just gone has left the others where they were.
        self._files.invalidate_cache(folder)
        with _asked():
            left = self._files.find(folder)
        if left:
            raise PictureStoreAway(None, f"{len(left)} files of gallery number {gallery} are still there")

    def sizes(self, gallery: int) -> KeptBytes:
        """What a gallery's files take; lists all of them.

        Raises:
            PictureStoreAway: the store does not answer.
        """
        self._be_there()
        taken = {_PICTURE: 0, _THUMBNAIL: 0}
        with _asked():
            for path, size in self._listed(f"{self._root}/{gallery}"):
                kind = PurePosixPath(path).suffix
                if kind in taken:
                    taken[kind] += size
        return KeptBytes(taken[_PICTURE], taken[_THUMBNAIL])

    def _listed(self, folder: str) -> Iterator[tuple[str, int]]:
        """Path and size of each file in a folder."""
        if isinstance(self._files, LocalFileSystem):
            # fsspec gives up on a local folder from which a file goes while it is listed
            with suppress(FileNotFoundError), os.scandir(folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        yield entry.path, entry.stat().st_size
            return
        self._files.invalidate_cache(folder)
        for path, about in self._files.find(folder, detail=True).items():
            yield path, int(about["size"] or 0)

    def sweep(self, known: Callable[[], Collection[tuple[int, str]]]) -> int:
        """Remove every picture of this catalog that is not among ``known`` (gallery number, image id).

        For the start of the service, since a picture that is being enrolled is not known yet; and for later
        where that could not be done, since none is taken until it is.

        Args:
            known: asked when the files are listed, so that what is written after that is none's to remove.

        Returns:
            How many files were removed.

        Raises:
            PictureStoreAway: the store is not there; :attr:`unswept` says so until it was swept.
        """
        try:
            removed = self._sweep(known)
        except BaseException:
            self.unswept = True
            raise
        self.unswept = False
        return removed

    def _sweep(self, known: Callable[[], Collection[tuple[int, str]]]) -> int:
        if self._mark.noted:
            self._be_there()
        removed = 0
        with _asked():
            paths = self._all()
        rightful = known()
        if not self._mark.noted:
            self._recognise(paths, bool(rightful))
        with _asked():
            for path in paths:
                name = self._named(path)
                if name is None:
                    continue  # not written by this class
                if (int(name[1]), name[2]) not in rightful or path.endswith(PART):
                    with suppress(FileNotFoundError):  # whoever began it took it back
                        self._files.rm_file(path)
                        removed += 1
        return removed

    def _recognise(self, paths: Collection[str], kept: bool) -> None:
        """Mark the store where it is not noted as marked: it may be older than marks, or not there.

        Args:
            paths: all files.
            kept: whether the catalog has kept pictures.
        """
        if any(self._named(path) is not None or self._inside(path) == NAME for path in paths):
            self._set_mark()
        elif kept or self._mark.expected:
            self._mark.expect()
            self._be_there()

    def _set_mark(self) -> None:
        with self._marking:
            if self._mark.noted:
                return
            try:
                self._mark.lay()
            except Exception as error:  # whatever the store's driver raises
                raise _away(error) from error
            self._mark.note()

    def _named(self, path: str) -> re.Match[str] | None:
        """A file's name; None where this class has not written it."""
        return _NAME.fullmatch(self._inside(path))

    def _inside(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

    def _all(self) -> list[str]:
        """Every file of this catalog."""
        if not isinstance(self._files, LocalFileSystem):
            return [str(path) for path in self._files.find(self._root)]

        def unless_gone(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        # fsspec gives up on a local folder from which a file goes while it is listed
        walk = os.walk(self._root, onerror=unless_gone)
        return [f"{folder}/{name}" for folder, _, names in walk for name in names]

    def _path(self, gallery: int, image: str, kind: str) -> str:
        return f"{self._root}/{gallery}/{image}{kind}"

    def _write(self, path: str, content: bytes, durably: bool) -> None:
        self.look()
        self._set_mark()
        try:
            if isinstance(self._files, LocalFileSystem):
                write_whole(Path(path), content, durably)
            else:
                self._files.pipe_file(path, content)
        except Exception as error:  # whatever the store's driver raises
            raise _away(error) from error


@contextmanager
def _asked() -> Iterator[None]:
    """Make whatever the store's driver raises :class:`PictureStoreAway`, but for files that are not there."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise _away(error) from error


def _away(error: Exception) -> PictureStoreAway:
    return PictureStoreAway(getattr(error, "errno", None), f"the picture store does not answer: {error!r}")


def _remove_folder(folder: str) -> None:
    """With all that is in it, also where some of that goes at the same time: rmtree would stop there."""

    def unless_gone(_ask: object, _path: str, fault: tuple[type, BaseException, object]) -> None:
        if not isinstance(fault[1], FileNotFoundError):
            raise fault[1]

    shutil.rmtree(folder, onerror=unless_gone)
