"""The sweeper: erases what a gallery's retention has ended for, and old lines of the audit trail."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from service.clock import now
from service.gallery import Galleries
from service.problems import UnknownGallery, UnknownImage
from service.recurring import Recurring
from service.storage.audit import AuditTrail, Event
from service.storage.catalog import Catalog

__all__ = ["Sweeper"]

_log = logging.getLogger(__name__)

_ACTION: Final = "retention"


class Sweeper(Recurring):
    """Sweeps at the start and once an hour.

    Args:
        catalog: tells what has expired.
        galleries: erases it, from catalog, index, files and cache.
        audit: records each erasure, and is itself shortened; None where there is no trail.
        audit_days: how long its lines stay.
        pause_s: between two sweeps.
    """

    def __init__(
        self,
        catalog: Catalog,
        galleries: Galleries,
        audit: AuditTrail | None,
        audit_days: int,
        pause_s: float = 3600.0,
    ) -> None:
        self._catalog = catalog
        self._galleries = galleries
        self._audit = audit
        self._audit_days = audit_days
        self._pause_s = pause_s

    async def _work(self) -> None:
        while True:
            try:
                erased = await self.sweep()
                if erased:
                    _log.info("%d pictures were erased at the end of their retention", erased)
            except Exception:  # the catalog is away: the next sweep does it
                _log.exception("what is past its retention could not be erased")
            await asyncio.sleep(self._pause_s)

    async def sweep(self) -> int:
        """Erase all that has expired by now.

        Returns:
            How many pictures were erased.
        """
        if self._audit is not None:
            await asyncio.to_thread(self._audit.forget_before, self._audit_days)
        erased = 0
        for gallery, image in await asyncio.to_thread(self._catalog.pictures.expired, now()):
            try:
                await self._galleries.erasure.picture(gallery, image)
            except (UnknownGallery, UnknownImage):
                continue  # somebody was faster
            erased += 1
            if self._audit is not None:
                name = self._audit.pseudonym(gallery, image)
                event = Event(now(), "-", None, _ACTION, gallery, name, None, 204)
                await self._audit.write(event, stored=False)
        return erased
