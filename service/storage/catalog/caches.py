"""Which shared caches may still hold features: those that were used, until what was put there last expires.

What was erased while a cache was away is noted (:mod:`service.storage.catalog.erased`) for that cache, and
for no other: a service that is started without it, or with another one, can confirm nothing in its name.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.clock import now
from service.storage.cache import SharedCache
from service.storage.database import Database
from service.storage.tables import AboutRow

__all__ = ["NOTED_EVERY_S", "CacheCatalog"]

NOTED_EVERY_S: Final = 3600.0
"""How often whoever uses a shared cache notes that. Each note reaches twice as far, so that no moment of
use is left out where the process ends, or the next note comes late."""

_PREFIX: Final = "cache "
_NAME: Final = 26  # hex digits of a cache's name, as many as a key has room for
_LONGEST_S: Final = 100 * 365 * 24 * 3600  # of a time to live; what is noted must be a date


class CacheCatalog:
    """The shared caches of a catalog's services. See :class:`service.storage.catalog.Catalog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, present: SharedCache | None) -> datetime | None:
        """Note that a shared cache is in use, before anything is put there; None: that none is.

        Returns:
            Until when another one may hold features; None where none does.
        """
        mine = None if present is None else _PREFIX + present.name[:_NAME]

        def work(session: Session) -> datetime | None:
            moment = now()
            others: list[datetime] = []
            until = moment
            if present is not None:
                reach_s = min(present.ttl_s, _LONGEST_S) + 2 * NOTED_EVERY_S
                until += timedelta(seconds=reach_s)
            for row in session.scalars(select(AboutRow).where(AboutRow.key.startswith(_PREFIX))).all():
                its = datetime.fromisoformat(row.value)
                if row.key == mine:
                    until = max(until, its)  # what is there may have been put to stay longer
                elif its > moment:
                    others.append(its)
                else:
                    session.delete(row)
            if mine is not None:
                session.merge(AboutRow(key=mine, value=until.isoformat()))
            return max(others, default=None)

        return self._database.transact(work)
