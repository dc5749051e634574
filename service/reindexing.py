"""Brings galleries to the present model: embeds kept pictures of another model again, in the background.

Where the previous model is served too it answers for a gallery until all of it is done, and from then on the
present one. Pictures that cannot be done (not kept, or set aside) would be found by nobody then, so the
previous one goes on answering until they are enrolled again or erased, or somebody says that they be left
behind. Where it is not served, a gallery answers with the pictures that are done. What is left to do is what
the catalog says is pending, so whoever is stopped or killed goes on where it was.

A picture whose kept file is lost, damaged or unreadable is set aside, named, and the rest is completed. It
stays pending: listed, erasable, and its features compared by the model that made them alone. It is tried
again when the gallery is asked for again, and at every start until its file is back or it is erased. Where
the picture store as a whole is away, nothing is set aside: the work waits for it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass
from typing import Final

from service.gallery import Galleries
from service.problems import (
    DeadlineExceeded,
    IndexBehind,
    NotFollowed,
    Overloaded,
    PicturesAway,
    Problem,
    Unavailable,
    UnknownGallery,
)
from service.storage.catalog import Catalog
from service.storage.records import PendingPicture

__all__ = ["Reindexer", "Reindexing"]

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 4
"""Pictures in work at a time: enough to fill a batch, few enough to leave queries their turn."""

_DEATHS: Final = 3
"""Times that workers may die over a picture until it is set aside."""

_MOST_NAMED: Final = 100
"""Pictures set aside that the state names."""


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
        failed_images: public ids of those that failed, up to 100 of them.
        problem: of the last one that failed, what the work waits for, or why the previous model goes on
            answering; None where there is none of these.
        answers: fingerprint of the model that queries are answered by.
    """

    running: bool
    images: int
    done: int
    waiting: int
    not_kept: int
    failed: int
    failed_images: tuple[str, ...]
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
        self._waits_for: dict[str, str] = {}
        self._leaves_behind: set[str] = set()

    async def resume(self) -> None:
        """Go on with what an earlier process was asked for and did not finish."""
        for name in await asyncio.to_thread(self._catalog.pending.being_brought_to, self._fingerprint):
            self._run(name)

    async def begin(self, name: str, leave_behind: bool = False) -> Reindexing:
        """Begin with a gallery, unless that is under way.

        Args:
            leave_behind: let the present model take over although pictures are left that it cannot find.

        Raises:
            UnknownGallery: there is none.
        """
        if not self._running(name):
            await asyncio.to_thread(self._catalog.pending.bring_to, name, self._fingerprint)
            self._leaves_behind.discard(name)  # of an earlier gallery of this name
        if leave_behind:
            self._leaves_behind.add(name)  # also of a work that is under way
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
        tried = dict(self._failed.get(name, {}))
        failed = await asyncio.to_thread(
            self._catalog.pending.kept_among, key.number, self._fingerprint, list(tried)
        )  # the others were erased, or enrolled again
        answers = self._galleries.answered_by(key.number)
        problem = next((tried[number] for number in reversed(tried) if number in failed), None)
        if not running and answers != self._fingerprint and (counts.not_kept or failed):
            problem = _goes_on(counts.not_kept, len(failed), problem)
        return Reindexing(
            running=running,
            images=counts.images,
            done=counts.images - counts.kept - counts.not_kept,
            waiting=max(0, counts.kept - len(failed)),
            not_kept=counts.not_kept,
            failed=len(failed),
            failed_images=tuple(itertools.islice(failed.values(), _MOST_NAMED)),
            problem=(self._waits_for.get(name) if running else None) or problem,
            answers=answers,
        )

    @property
    def under_way(self) -> set[str]:
        """Names of the galleries that are being brought to the present model."""
        return {name for name in self._tasks if self._running(name)}

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
            self._waits_for.pop(name, None)
            self._tasks[name] = asyncio.create_task(self._work(name))

    async def _work(self, name: str) -> None:
        _log.info("gallery %r is being brought to the present model", name)
        while True:
            try:
                number = await self._embed_pending(name)
                left = await asyncio.to_thread(self._catalog.pending.counts, number, self._fingerprint)
                whole = not (left.kept or left.not_kept)
                if whole or name in self._leaves_behind:
                    await self._galleries.renewal.finish(number)
                taken_over = self._galleries.answered_by(number) == self._fingerprint
                if taken_over and not self._failed[name]:  # else the next start tries again
                    await asyncio.to_thread(self._catalog.pending.bring_to, name, None)
            except UnknownGallery:
                self._leaves_behind.discard(name)
                return
            except Exception:  # the catalog is away, or the picture store
                _log.exception("gallery %r is not yet brought to the present model; trying again", name)
                await asyncio.sleep(self._pause_s)
                continue
            self._leaves_behind.discard(name)
            aside = len(self._failed[name])
            if taken_over:
                _log.info("gallery %r is of the present model; %d pictures are set aside", name, aside)
            else:
                _log.warning("gallery %r: %s", name, _goes_on(left.not_kept, aside, None))
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
        deaths = 0
        while True:
            try:
                await self._galleries.renewal.renew(gallery, picture)
            except (Overloaded, DeadlineExceeded, PicturesAway, IndexBehind, NotFollowed) as problem:
                self._wait_for(name, problem)
            except Unavailable as problem:  # workers died over this picture, or over another one of its batch
                deaths += 1
                if deaths == _DEATHS:
                    self._set_aside(name, picture, problem)
                    return
                self._wait_for(name, problem)
            except Problem as problem:
                self._set_aside(name, picture, problem)
                return
            else:
                self._waits_for.pop(name, None)
                return
            await asyncio.sleep(self._pause_s)  # those who wait for an answer come first

    def _wait_for(self, name: str, problem: Problem) -> None:
        if name not in self._waits_for and not isinstance(problem, Overloaded | DeadlineExceeded):
            _log.warning("bringing gallery %r to the present model waits: %s", name, problem.detail)
        self._waits_for[name] = problem.detail

    def _set_aside(self, name: str, picture: PendingPicture, problem: Problem) -> None:
        _log.warning("image %s is set aside, it cannot be embedded again: %s", picture.id, problem.detail)
        self._failed[name][picture.number] = problem.detail
        self._waits_for.pop(name, None)


def _goes_on(not_kept: int, failed: int, problem: str | None) -> str:
    """Why the previous model goes on answering."""
    left = []
    if not_kept:
        left.append(f"{not_kept:,} pictures were not kept")
    if failed:
        left.append(f"{failed:,} could not be embedded" + (f" ({problem})" if problem else ""))
    return (
        f"{' and '.join(left)}; the present model would not find them, so the previous one goes on answering "
        "until they are enrolled again or erased, or until a reindex that leaves them behind (leave_behind)"
    )
