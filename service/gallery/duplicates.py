"""The duplicates of a gallery: pictures whose content was enrolled before."""

from __future__ import annotations

from dataclasses import dataclass

from service.cursor import cursor_after, number_before
from service.gallery.parts import Parts
from service.storage.records import DuplicateRecord

__all__ = ["DuplicatePage", "Duplicates"]


@dataclass(frozen=True, slots=True)
class DuplicatePage:
    """Duplicates in the order of enrolment, and the cursor of the next page (None: this was the last)."""

    items: tuple[DuplicateRecord, ...]
    next_cursor: str | None


class Duplicates:
    """What was enrolled more than once: the same bytes (of a full frame, the same bytes and box)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list(self, gallery: str, limit: int = 100, cursor: str | None = None) -> DuplicatePage:
        """Pictures whose content an earlier picture of the gallery has, ``limit`` at a time.

        Raises:
            UnknownGallery: there is none.
            BadRequest: the cursor is none that a page gave.
        """
        after = 0 if cursor is None else number_before(cursor)
        key = await self._parts.key(gallery)
        found = await self._parts.read(
            lambda: self._parts.catalog.duplicates.page(key.number, limit + 1, after)
        )
        page = tuple(found[:limit])
        return DuplicatePage(page, cursor_after(str(page[-1].number)) if len(found) > limit else None)
