"""Brings galleries to the present model: embeds kept pictures of another model again, in the background.

Where the previous model is served too it answers for a gallery until that is done, and from then on the
present one. Where it is not, a gallery answers with the pictures that are done. What is left to do is what
the catalog says is pending, so whoever is stopped or killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from service.gallery import Galleries
from service.problems import DeadlineExceeded, Overloaded, Problem, Unavailable, UnknownGallery
from service.storage.catalog import Catalog
from service.storage.records import PendingPicture

__all__ = ["Reindexer", "Reindexing"]

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 4
"""Pictures in work at a time: enough to fill a batch, few enough to leave queries their turn."""


@dataclass(frozen=True, slots=True)
class Reindexing:
    """How far a gallery is, in pictures.

    Attributes:
        running: whether pictures are being embedded.
        images: all of the gallery.
        done: of the present model.
        waiting: kept, of another model, and not tried in vain.
        not_kept: of another model, and nothing is there to embed.
        failed: kept, of another model, and tried in vain since the service started or was last asked.
        problem: of the last one that failed; None where none did.
        answers: fingerprint of the model that queries are answered by.
    """

    running: bool
    images: int
    done: int
    waiting: int
    not_kept: int
    failed: int
    problem: str | None
    answers: str


class Reindexer:
    """The background tasks, one for each gallery that is being brought to the present model.

    Args:
        catalog: tells what is pending.
        galleries: embeds and stores it.
        fingerprint: of the present model.
        pause_s: before what failed for lack of a moment is tried again.
    """

    def __init__(
        self, catalog: Catalog, galleries: Galleries, fingerprint: str, pause_s: float = 1.0
    ) -> None:
        self._catalog = catalog
        self._galleries = galleries
        self._fingerprint = fingerprint
        self._pause_s = pause_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, dict[int, str]] = {}

    async def resume(self) -> None:
        """Go on with what an earlier process was asked for and did not finish."""
        for name in await asyncio.to_thread(self._catalog.pending.being_brought_to, self._fingerprint):
            self._run(name)

    async def begin(self, name: str) -> Reindexing:
        """Begin with a gallery, unless that is under way.

        Raises:
            UnknownGallery: there is none.
        """
        if not self._running(name):
            await asyncio.to_thread(self._catalog.pending.bring_to, name, self._fingerprint)
            self._run(name)
        return await self.state(name)

    async def state(self, name: str) -> Reindexing:
        """How far a gallery is.

        Raises:
            UnknownGallery: there is none.
        """
        running = self._running(name)  # before the counts: whoever reads that it ended reads the end's counts
        key = await asyncio.to_thread(self._catalog.galleries.key, name)
        counts = await asyncio.to_thread(self._catalog.pending.counts, key.number, self._fingerprint)
        failed = self._failed.get(name, {})
        return Reindexing(
            running=running,
            images=counts.images,
            done=counts.images - counts.kept - counts.not_kept,
            waiting=max(0, counts.kept - len(failed)),
            not_kept=counts.not_kept,
            failed=len(failed),
            problem=next(reversed(failed.values()), None),
            answers=self._galleries.answered_by(key.number),
        )

    async def close(self) -> None:
        """End; what is not done goes on at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _running(self, name: str) -> bool:
        return name in self._tasks and not self._tasks[name].done()

    def _run(self, name: str) -> None:
        if not self._running(name):
            self._failed[name] = {}
            self._tasks[name] = asyncio.create_task(self._work(name))

    async def _work(self, name: str) -> None:
        _log.info("gallery %r is being brought to the present model", name)
        while True:
            try:
                number = await self._embed_pending(name)
                await self._galleries.renewal.finish(number)
                await asyncio.to_thread(self._catalog.pending.bring_to, name, None)
            except UnknownGallery:
                return
            except Exception:  # the catalog is away, or the picture store
                _log.exception("gallery %r is not yet brought to the present model; trying again", name)
                await asyncio.sleep(self._pause_s)
                continue
            failed = self._failed[name]
            _log.info("gallery %r is of the present model; %d pictures failed", name, len(failed))
            return

    async def _embed_pending(self, name: str) -> int:
        after = 0
        while True:
            key = await asyncio.to_thread(self._catalog.galleries.key, name)
            pictures = await asyncio.to_thread(
                self._catalog.pending.kept, key.number, self._fingerprint, _AT_ONCE, after
            )
            if not pictures:
                return key.number
            async with asyncio.TaskGroup() as group:
                for picture in pictures:
                    group.create_task(self._embed(name, key.number, picture))
            after = pictures[-1].number

    async def _embed(self, name: str, gallery: int, picture: PendingPicture) -> None:
        while True:
            try:
                await self._galleries.renewal.renew(gallery, picture)
                return
            except (Overloaded, DeadlineExceeded, Unavailable):
                await asyncio.sleep(self._pause_s)  # those who wait for an answer come first
            except Problem as problem:
                _log.warning("image %s cannot be embedded again: %s", picture.id, problem.detail)
                self._failed[name][picture.number] = problem.detail
                return
