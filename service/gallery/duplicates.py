"""The duplicates of a gallery: pictures whose content was enrolled before."""

from __future__ import annotations

from service.gallery.page import Page, page_of
from service.gallery.parts import Parts
from service.storage.records import DuplicateRecord

__all__ = ["Duplicates"]


class Duplicates:
    """What was enrolled more than once: the same bytes (of a full frame, the same bytes and box)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list(self, gallery: str, limit: int = 100, cursor: str | None = None) -> Page[DuplicateRecord]:
        """Pictures whose content an earlier picture of the gallery has, ``limit`` at a time.

        Raises:
            UnknownGallery: there is none.
            BadRequest: the cursor is none that a page gave.
        """
        key = await self._parts.key(gallery)
        cursors = self._parts.catalog.cursors.of("duplicates", key.number)
        after = cursors.number_before(cursor)
        found = await self._parts.read(
            lambda: self._parts.catalog.duplicates.page(key.number, limit + 1, after)
        )
        return page_of(found, limit, lambda record: record.number, cursors)
