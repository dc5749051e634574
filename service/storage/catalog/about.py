"""What the catalog remembers for the parts around it, a short text by key."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from service.storage.database import Database
from service.storage.tables import AboutRow

__all__ = ["AboutCatalog"]


class AboutCatalog:
    """Texts of up to 64 characters by keys of up to 32. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> str | None:
        """What is noted; None where nothing is."""
        with Session(self._database.engine) as session:
            row = session.get(AboutRow, key)
            return None if row is None else row.value

    def set(self, key: str, value: str) -> None:
        """Note it in the place of what was noted before; when this returns, it is durable."""
        self._database.transact(lambda session: session.merge(AboutRow(key=key, value=value)))

    def get_or_set(self, key: str, make: Callable[[], str]) -> str:
        """What is noted; where nothing is, what is made is from here on."""
        return self.get(key) or self._database.transact(
            lambda session: AboutRow.get_or_make(session, key, make)
        )
