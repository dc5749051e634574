"""The sweeper: erases what a gallery's retention has ended for, and old lines of the audit trail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from service.clock import now
from service.gallery import Galleries
from service.problems import NotFollowed, UnknownGallery
from service.recurring import Recurring
from service.storage.audit import AuditTrail, Event, forget_before
from service.storage.catalog import Catalog
from service.storage.database import CommitInDoubt

__all__ = ["Sweeper", "Swept"]

_log = logging.getLogger(__name__)

_ACTION: Final = "retention"

_AT_ONCE: Final = 300
"""Pictures that are erased in one step; whoever else changes something waits so long."""

_REFUSED: Final = 3
"""Steps in a row that fail until a sweep ends: what is in their way is not about their pictures."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: how many pictures it erased, and whether any are left that it could not."""

    erased: int
    left: bool


class Sweeper(Recurring):
    """Sweeps at the start and once an hour; where something could not be erased, again after a minute.

    Args:
        catalog: tells what has expired.
        galleries: erases it, from catalog, index, files and cache.
        audit: records each erasure; None where nothing is recorded.
        audit_days: how long the lines of the trail stay, those included from when it was recorded.
        pause_s: between two sweeps.
        again_s: until the next where something is left.
    """

    def __init__(
        self,
        catalog: Catalog,
        galleries: Galleries,
        audit: AuditTrail | None,
        audit_days: int,
        pause_s: float = 3600.0,
        again_s: float = 60.0,
    ) -> None:
        self._catalog = catalog
        self._galleries = galleries
        self._audit = audit
        self._audit_days = audit_days
        self._pause_s = pause_s
        self._again_s = again_s

    async def _work(self) -> None:
        while True:
            swept = Swept(0, left=True)
            try:
                swept = await self.sweep()
                if swept.erased:
                    _log.info("%d pictures were erased at the end of their retention", swept.erased)
            except Exception:  # the catalog is away: the next sweep does it
                _log.exception("what is past its retention could not be erased")
            await asyncio.sleep(self._again_s if swept.left else self._pause_s)

    async def sweep(self) -> Swept:
        """Erase all that has expired by now. What cannot be erased keeps nothing else from it."""
        await asyncio.to_thread(forget_before, self._catalog.database, self._audit_days)
        count, refused, left = 0, 0, False
        expired = await asyncio.to_thread(self._catalog.pictures.expired, now())
        for gallery, theirs in groupby(expired, key=lambda one: one[0]):
            images = [image for _, image in theirs]
            for start in range(0, len(images), _AT_ONCE):
                some = images[start : start + _AT_ONCE]
                if refused == _REFUSED:
                    return Swept(count, left=True)
                try:
                    erased = await self._galleries.erasure.pictures(gallery, some)
                except UnknownGallery:
                    continue  # somebody was faster
                except NotFollowed:
                    erased = some  # in the catalog they are, and the rest follows
                except CommitInDoubt:
                    _log.warning("of %d pictures past their retention nobody knows yet", len(some))
                    left, refused = True, refused + 1
                    await self._note(gallery, some, 503)
                    continue
                except Exception:
                    _log.exception("%d pictures past their retention could not be erased", len(some))
                    left, refused = True, refused + 1
                    continue
                count, refused = count + len(erased), 0
                await self._note(gallery, erased, 204)
        return Swept(count, left)

    async def _note(self, gallery: str, images: Sequence[str], status: int) -> None:
        if self._audit is None:
            return
        for image in images:
            name = self._audit.pseudonym(gallery, image)
            await self._audit.write(
                Event(now(), "-", None, _ACTION, gallery, name, None, status), stored=False
            )
