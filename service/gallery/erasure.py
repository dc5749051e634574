"""Erasing: from the catalog, then the index, its snapshot, the kept pictures and the feature cache."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from service.gallery.doubts import Doubt
from service.gallery.parts import Parts
from service.storage.records import GalleryKey, RemovedImage

__all__ = ["Erasure"]

_log = logging.getLogger(__name__)


class Erasure:
    """Takes pictures, people and galleries away with all that is stored of them.

    What cannot be erased for now is told as by :meth:`service.gallery.parts.Parts.step`.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def picture(self, gallery: str, id: str) -> None:
        """Delete a picture, and its person if it was their last. No later query finds it.

        Raises:
            UnknownGallery, UnknownImage: there is none.
        """
        await self._parts.write(lambda: self._erase_picture(gallery, id))
        await self._forget()

    async def pictures(self, gallery: str, ids: Sequence[str]) -> list[str]:
        """Delete some hundred pictures in one step, as :meth:`picture` does each.

        Returns:
            The ids of those that were there.

        Raises:
            UnknownGallery: there is none.
        """
        removed = await self._parts.write(lambda: self._erase_pictures(gallery, ids))
        await self._forget()
        return [image.id for image in removed]

    async def person(self, gallery: str, person: str) -> None:
        """Erase a person with all that is stored of them: catalog, index, pictures, cached features.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
        """
        await self._parts.write(lambda: self._erase_person(gallery, person))
        await self._forget()

    async def gallery(self, name: str) -> None:
        """Delete a gallery with all that is stored of it.

        Raises:
            UnknownGallery: there is none.
        """
        await self._parts.write(lambda: self._erase_gallery(name))
        await self._forget()

    async def _forget(self) -> None:
        """Erased it is; that the cache forgets too is noted in the catalog, and is done now or later."""
        try:
            async with asyncio.timeout(self._parts.deadline_s):
                await self._parts.forgetting.forget()
        except (SQLAlchemyError, TimeoutError) as error:
            self._parts.forgetting.owed = True
            _log.warning("the catalog does not answer; the feature cache forgets later: %s", error)

    def _erase_picture(self, name: str, id: str) -> None:
        with self._parts.step(lambda done: _about(done[0], [done[1]])) as committed:
            key, removed = self._parts.catalog.pictures.delete(name, id)
            committed((key, removed))
            self._parts.index.remove(key.number, [removed.number])
        self._erased(key, [removed])

    def _erase_pictures(self, name: str, ids: Sequence[str]) -> list[RemovedImage]:
        with self._parts.step(lambda done: _about(*done)) as committed:
            key, removed = self._parts.catalog.pictures.delete_some(name, ids)
            committed((key, removed))
            self._parts.index.remove(key.number, [image.number for image in removed])
        self._erased(key, removed)
        return removed

    def _erase_person(self, name: str, person: str) -> None:
        with self._parts.step(lambda done: _about(*done)) as committed:
            key, removed = self._parts.catalog.people.delete(name, person)
            committed((key, removed))
            self._parts.index.remove(key.number, [image.number for image in removed])
        self._erased(key, removed)

    def _erase_gallery(self, name: str) -> None:
        with self._parts.step(lambda key: Doubt(key.number)) as committed:
            key = self._parts.catalog.galleries.delete(name)
            committed(key)
            self._parts.index.drop(key.number)
        self._parts.drop(key.number)

    def _erased(self, key: GalleryKey, removed: Sequence[RemovedImage]) -> None:
        if self._parts.snapshots is not None:
            self._parts.snapshots.erase(key.number, [image.number for image in removed])
        self._parts.remove_pictures(key.number, [image.id for image in removed if image.kept])


def _about(key: GalleryKey, removed: Sequence[RemovedImage]) -> Doubt:
    return Doubt(
        key.number, [image.number for image in removed], [image.id for image in removed if image.kept]
    )
