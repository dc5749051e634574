"""Erasing: from the catalog, then the index, its snapshot, the kept pictures and the feature cache."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from service.gallery.parts import Parts
from service.storage.records import GalleryKey, RemovedImage

__all__ = ["Erasure"]

_log = logging.getLogger(__name__)


class Erasure:
    """Takes pictures, people and galleries away with all that is stored of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def picture(self, gallery: str, id: str) -> None:
        """Delete a picture, and its person if it was their last. No later query finds it.

        Raises:
            UnknownGallery, UnknownImage: there is none.
        """
        await self._parts.embedder.forget(await self._parts.write(lambda: self._erase_picture(gallery, id)))

    async def person(self, gallery: str, person: str) -> None:
        """Erase a person with all that is stored of them: catalog, index, pictures, cached features.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
        """
        await self._parts.embedder.forget(
            await self._parts.write(lambda: self._erase_person(gallery, person))
        )

    async def gallery(self, name: str) -> None:
        """Delete a gallery with all that is stored of it.

        Raises:
            UnknownGallery: there is none.
        """
        await self._parts.embedder.forget(await self._parts.write(lambda: self._erase_gallery(name)))

    def _erase_picture(self, name: str, id: str) -> set[tuple[str, str]]:
        with self._parts.writes:
            key, removed = self._parts.catalog.pictures.delete(name, id)
            self._parts.index.remove(key.number, [removed.number])
        return self._erased(key, [removed])

    def _erase_person(self, name: str, person: str) -> set[tuple[str, str]]:
        with self._parts.writes:
            key, removed = self._parts.catalog.people.delete(name, person)
            self._parts.index.remove(key.number, [image.number for image in removed])
        return self._erased(key, removed)

    def _erase_gallery(self, name: str) -> set[tuple[str, str]]:
        with self._parts.writes:
            gone = self._parts.catalog.pictures.removable(self._parts.catalog.galleries.key(name).number)
            key = self._parts.catalog.galleries.delete(name)
            self._parts.index.drop(key.number)
        if self._parts.snapshots is not None:
            self._parts.snapshots.drop(key.number)
        try:
            self._parts.pictures.drop(key.number)  # also of a gallery that has stopped keeping them
        except OSError:
            _log.exception("pictures of gallery number %d stay until the next start", key.number)
        return self._seen(gone)

    def _erased(self, key: GalleryKey, removed: Sequence[RemovedImage]) -> set[tuple[str, str]]:
        if self._parts.snapshots is not None:
            self._parts.snapshots.erase(key.number, [image.number for image in removed])
        self._parts.remove_pictures(key.number, [image.id for image in removed if image.kept])
        return self._seen(removed)

    def _seen(self, removed: Iterable[RemovedImage]) -> set[tuple[str, str]]:
        """What the feature cache may hold of them: of the model that enrolled them, and of the present."""
        present = self._parts.embedder.fingerprint
        return {(model, image.digest) for image in removed for model in (image.fingerprint, present)}
