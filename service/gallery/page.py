"""A page of what a gallery, or the service, lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.cursor import ListCursors

__all__ = ["Page", "page_of"]

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Page(Generic[Record]):
    """Records in the order of their listing, and the cursor of the next page (None: this was the last)."""

    items: tuple[Record, ...]
    next_cursor: str | None


def page_of(
    found: Sequence[Record], limit: int, place: Callable[[Record], str | int], cursors: ListCursors
) -> Page[Record]:
    """The first ``limit`` of what was found where one more was asked for, which says if there is a next page.

    Args:
        place: a record's place in the order, which the next page begins after.
        cursors: of this list.
    """
    items = tuple(found[:limit])
    return Page(items, cursors.after(place(items[-1])) if len(found) > limit else None)
