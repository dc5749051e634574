"""The people of a gallery: list them, look at one, rename, merge."""

from __future__ import annotations

from service.gallery.doubts import Doubt
from service.gallery.page import Page, page_of
from service.gallery.parts import Parts
from service.storage.records import PersonRecord

__all__ = ["People"]


class People:
    """Whom the pictures show."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list(self, gallery: str, limit: int = 100, cursor: str | None = None) -> Page[PersonRecord]:
        """People in the order of their names, ``limit`` at a time; as stable as the list of galleries.

        Raises:
            UnknownGallery: there is none.
            BadRequest: the cursor is none that a page gave.
        """
        key = await self._parts.key(gallery)
        cursors = self._parts.catalog.cursors.of("people", key.number)
        after = cursors.name_before(cursor)
        found = await self._parts.read(lambda: self._parts.catalog.people.page(key.number, limit + 1, after))
        return page_of(found, limit, lambda record: record.name, cursors)

    async def get(self, gallery: str, person: str) -> PersonRecord:
        """A person, and how many pictures show them.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
        """
        key = await self._parts.key(gallery)
        return await self._parts.read(lambda: self._parts.catalog.people.get(key.number, person))

    async def rename(self, gallery: str, person: str, to: str, merge: bool = False) -> PersonRecord:
        """Give a person another name; with ``merge``, another person's, and the two are one from then on.

        Raises:
            UnknownGallery, UnknownPerson: there is none.
            PersonExists: another person has the name, and ``merge`` is false.
        """
        return await self._parts.write(lambda: self._rename(gallery, person, to, merge))

    def _rename(self, name: str, person: str, to: str, merge: bool) -> PersonRecord:
        with self._parts.step(lambda done: Doubt(done[0].number, done[1].numbers)) as committed:
            key, moved = self._parts.catalog.people.rename(name, person, to, merge)
            committed((key, moved))
            self._parts.index.assign(key.number, moved.numbers, moved.person)
        return self._parts.catalog.people.get(key.number, to)
