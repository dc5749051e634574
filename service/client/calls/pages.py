"""Lists, which the service gives a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from service.client.answers import Page
from service.client.call import Call, reader

__all__ = ["Pages"]

Item = TypeVar("Item")


class Pages(Generic[Item]):
    """A list, fetched page by page."""

    def __init__(
        self, path: str, item: type[Item], limit: int, filters: Mapping[str, str | None] | None = None
    ) -> None:
        self._path = path
        self._read = reader(Page[item])  # type: ignore[valid-type]
        self._limit = limit
        self._filters = {name: value for name, value in (filters or {}).items() if value is not None}
        self._cursor: str | None = None
        self._ended = False

    def next_call(self) -> Call[Page[Item]] | None:
        """The next page; None after the last."""
        if self._ended:
            return None
        params: dict[str, str | int] = {"limit": self._limit, **self._filters}
        if self._cursor is not None:
            params["cursor"] = self._cursor
        return Call("GET", self._path, self._read, repeatable=True, params=params)

    def take(self, page: Page[Item]) -> list[Item]:
        """What is on it."""
        self._cursor = page.next_cursor
        self._ended = page.next_cursor is None
        return page.items
