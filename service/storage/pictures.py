"""Pictures' bytes, kept only for galleries that say so: a folder, or object storage by fsspec URL.

A file is ``<catalog id>/<gallery number>/<image id>.picture`` under the URL. It is written before the catalog
commits to it and removed after the catalog has forgotten it, so a fault in between leaves an orphan, never
a promise without a file; :meth:`PictureStore.sweep` removes orphans. The catalog's id in the path keeps a
service that was started on a wrong or fresh catalog from sweeping another catalog's pictures away.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

import fsspec
from fsspec.implementations.local import LocalFileSystem

from service.storage import ulid

_SUFFIX: Final = ".picture"
_NAME: Final = re.compile(rf"(\d+)/({ulid.PATTERN.pattern}){re.escape(_SUFFIX)}(?:\.part)?")


class PictureStoreError(ValueError):
    """Pictures cannot be kept at that URL. The message says why."""


class PictureStore:
    """The pictures of one catalog.

    Args:
        url: fsspec URL of a folder, e.g. ``file:///data/pictures`` or ``s3://bucket/pictures``.
        catalog: the catalog's id.

    Raises:
        PictureStoreError: the URL's scheme is unknown, or its fsspec package is not installed.
    """

    def __init__(self, url: str, catalog: str) -> None:
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise PictureStoreError(f"pictures cannot be kept at {url}: {error}") from error
        self._root = f"{str(root).rstrip('/')}/{catalog}"

    def write(self, gallery: int, image: str, content: bytes) -> None:
        """Keep a picture; when this returns, it is durable (on local disks: synced).

        Raises:
            OSError: it could not be written.
        """
        path = self._path(gallery, image)
        if isinstance(self._files, LocalFileSystem):
            _write_durably(Path(path), content)
        else:
            self._files.pipe_file(path, content)

    def read(self, gallery: int, image: str) -> bytes:
        """A picture's bytes.

        Raises:
            FileNotFoundError: it is not kept.
        """
        return bytes(self._files.cat_file(self._path(gallery, image)))

    def remove(self, gallery: int, image: str) -> None:
        """Remove a picture; one that is not there is passed over.

        Raises:
            OSError: it could not be removed.
        """
        try:
            self._files.rm_file(self._path(gallery, image))
        except FileNotFoundError:
            return

    def drop(self, gallery: int) -> None:
        """Remove all pictures of a gallery.

        Raises:
            OSError: they could not be removed.
        """
        try:
            self._files.rm(f"{self._root}/{gallery}", recursive=True)
        except FileNotFoundError:
            return

    def sweep(self, known: Collection[tuple[int, str]]) -> int:
        """Remove every picture of this catalog that is not among ``known`` (gallery number, image id).

        For the start of the service only: a picture that is being enrolled is not known yet.

        Returns:
            How many files were removed.
        """
        removed = 0
        for path in self._files.find(self._root):
            name = _NAME.fullmatch(str(path).removeprefix(self._root).lstrip("/"))
            if name is None:
                continue  # not written by this class
            if (int(name[1]), name[2]) not in known or path.endswith(".part"):
                self._files.rm_file(path)
                removed += 1
        return removed

    def _path(self, gallery: int, image: str) -> str:
        return f"{self._root}/{gallery}/{image}{_SUFFIX}"


def _write_durably(path: Path, content: bytes) -> None:
    """Write beside, sync, rename, sync the folders: after a power cut the file is whole or absent."""
    new_folders = [folder for folder in (path.parent, path.parent.parent) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)  # on a full disk it would hold the last of the room
        raise
    for folder in (path.parent, *(folder.parent for folder in new_folders)):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
