"""The pictures of a gallery: list them, look at one, fetch its bytes or its thumbnail."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from service.gallery.kept import kept_bytes
from service.gallery.page import Page, page_of
from service.gallery.parts import Parts
from service.gallery.thumbnails import stored_thumbnail
from service.problems import (
    PictureError,
    PictureLost,
    PictureNotKept,
    UnknownGallery,
    UnknownImage,
)
from service.storage.filters import ALL, Listed
from service.storage.records import PictureRecord

__all__ = ["Pictures"]


class Pictures:
    """What is enrolled, picture by picture."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list(
        self,
        gallery: str,
        limit: int = 100,
        cursor: str | None = None,
        listed: Listed = ALL,
    ) -> Page[PictureRecord]:
        """Pictures in the order in which they were enrolled, ``limit`` at a time.

        A page goes on after the last picture of the one before, whatever is enrolled or erased meanwhile.

        Raises:
            UnknownGallery: there is none.
            BadRequest: the cursor is none that a page gave.
        """
        key = await self._parts.key(gallery)
        cursors = self._parts.catalog.cursors.of("images", key.number, listed)
        after = cursors.number_before(cursor)
        found = await self._parts.read(
            lambda: self._parts.catalog.pictures.page(
                key.number, limit + 1, after, listed, self._parts.embedder.fingerprint
            )
        )
        return page_of(found, limit, lambda record: record.number, cursors)

    async def get(self, gallery: str, id: str) -> PictureRecord:
        """A picture with all that was told of it.

        Raises:
            UnknownGallery, UnknownImage: there is none.
        """
        return (await self._parts.read(lambda: self._parts.catalog.pictures.get(gallery, id)))[1]

    async def file(self, gallery: str, id: str) -> bytes:
        """A kept picture's bytes.

        Raises:
            UnknownGallery, UnknownImage: there is none.
            PictureNotKept: its bytes were not kept.
            PictureLost, PicturesAway: see :func:`service.gallery.kept.kept_bytes`.
        """
        return await self._parts.read(lambda: self._file(gallery, id))

    async def thumbnail(self, gallery: str, id: str) -> bytes:
        """A kept picture's thumbnail, a JPEG; made and stored where there is none yet.

        Raises:
            UnknownGallery, UnknownImage: there is none.
            PictureNotKept: its bytes were not kept.
            PictureLost, PicturesAway: there is none, and the picture's own file is lost, damaged or away.
        """
        return await self._parts.read(lambda: self._thumbnail(gallery, id))

    def _thumbnail(self, name: str, id: str) -> bytes:
        key, picture = self._parts.catalog.pictures.get(name, id)
        found = self._parts.pictures.read_thumbnail(key.number, id) if picture.kept else None
        if found is not None:
            return found
        content = self._file(name, id)
        try:
            made = stored_thumbnail(self._parts.pictures, key.number, id, content)
        except PictureError as problem:
            raise PictureLost(f"the file of image {id!r} is damaged: {problem.detail}") from problem
        try:
            self._parts.catalog.pictures.get(name, id)
        except (UnknownGallery, UnknownImage):
            # whoever erased the picture meanwhile may have looked for its files before this one was there
            self._parts.remove_pictures(key.number, [id])
            raise
        except SQLAlchemyError:  # nobody can say whether somebody did
            self._parts.pictures.remove_thumbnail(key.number, id)
            raise
        return made

    def _file(self, name: str, id: str) -> bytes:
        key, picture = self._parts.catalog.pictures.get(name, id)
        if not picture.kept:
            raise PictureNotKept(f"the bytes of image {id!r} were not kept")
        try:
            return kept_bytes(self._parts.pictures, key.number, id)
        except PictureLost:
            self._parts.catalog.pictures.get(name, id)  # UnknownImage if it was erased meanwhile
            raise
