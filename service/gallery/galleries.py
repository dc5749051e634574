"""The galleries of one service: make, change, list; and what is done in one, a part for each."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

from service.gallery.doubts import AT_ONCE, Doubt, index_again
from service.gallery.duplicates import Duplicates
from service.gallery.enrolment import Enrolment
from service.gallery.erasure import Erasure
from service.gallery.page import Page, page_of
from service.gallery.parts import Parts
from service.gallery.pending import Pending
from service.gallery.people import People
from service.gallery.pictures import Pictures
from service.gallery.query import Queries
from service.gallery.renewal import Renewal
from service.gallery.verification import Verifier
from service.index.protocol import Entries, IndexKind
from service.matching.decision import NO_WISHES, Rule
from service.problems import NotFollowed
from service.storage.pictures import KeptBytes
from service.storage.records import GalleryRecord, GalleryStatistics

__all__ = ["Galleries"]

_log = logging.getLogger(__name__)


class Galleries:
    """All galleries of one service. Call :meth:`start` before anything else, :meth:`close` at the end.

    Args:
        parts: their index empty, filled by :meth:`start`; of the previous model, where there is one, the
            galleries not yet known.

    Attributes:
        enrolment, pictures, duplicates, people, queries, verifier, renewal, erasure: what is done in one.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.enrolment: Final = Enrolment(parts)
        self.pictures: Final = Pictures(parts)
        self.duplicates: Final = Duplicates(parts)
        self.people: Final = People(parts)
        self._pending = Pending(parts.catalog, parts.embedder.fingerprint)
        self.queries: Final = Queries(parts, self._pending)
        self.verifier: Final = Verifier(parts, self.queries)
        self.renewal: Final = Renewal(parts)
        self.erasure: Final = Erasure(parts)

    async def start(self) -> None:
        """Build the index from catalog and snapshots; remove pictures that no catalog row speaks of.

        Raises:
            CatalogError: another service runs on the same catalog.
        """
        await self._parts.write(self._rebuild)

    async def close(self) -> None:
        """Finish what was begun. Catalog, embedder and cache are closed by whoever made them."""
        await self._parts.close()

    async def mend(self) -> bool:
        """Do what a fault left undone: settle commits in doubt, remove what was erased from files and cache.

        Returns:
            Whether nothing is left to do.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the catalog does not answer.
        """
        return await self._parts.mend()

    @property
    def behind(self) -> bool:
        """Whether the index failed to follow the catalog, and has not caught up since."""
        return self._parts.behind

    @property
    def pictures_owed(self) -> bool:
        """Whether the picture store may still have files of what was erased, for it is away or refuses."""
        return self._parts.pictures_owed

    @property
    def owes(self) -> bool:
        """Whether :meth:`mend` has anything to do."""
        return self._parts.owes

    def answered_by(self, gallery: int) -> str:
        """Fingerprint of the model that answers for a gallery, by its number, at this moment."""
        return self._parts.answering(gallery).embedder.fingerprint

    async def create(
        self,
        name: str,
        keep_pictures: bool = False,
        rule: Rule = NO_WISHES,
        retention_days: int | None = None,
        index: IndexKind = "auto",
    ) -> GalleryRecord:
        """Make an empty gallery.

        Raises:
            GalleryExists: the name is taken.
        """
        return await self._parts.write(lambda: self._create(name, keep_pictures, rule, retention_days, index))

    async def change(self, name: str, changes: Mapping[str, bool | float | str | None]) -> GalleryRecord:
        """Change a gallery's settings; ``keep_pictures`` counts for what is enrolled from then on.

        A gallery that is clustered becomes flat before this returns, which takes as long as enrolling its
        features; it is found throughout. One that is flat is clustered in the background.

        Raises:
            UnknownGallery: there is none.
            BadRequest: its rates would contradict each other.
        """
        return await self._parts.write(lambda: self._change(name, changes))

    async def get(self, name: str) -> GalleryRecord:
        """A gallery with its counts.

        Raises:
            UnknownGallery: there is none.
        """
        return await self._parts.read(lambda: self._get(name))

    async def statistics(self, name: str) -> tuple[GalleryStatistics, KeptBytes]:
        """What is in a gallery, and what its files take.

        Raises:
            UnknownGallery: there is none.
        """
        return await self._parts.read(lambda: self._statistics(name))

    def _statistics(self, name: str) -> tuple[GalleryStatistics, KeptBytes]:
        found = self._parts.catalog.galleries.statistics(name, self._parts.embedder.fingerprint)
        return found, self._parts.pictures.sizes(self._parts.catalog.galleries.key(name).number)

    async def list(
        self, limit: int = 100, cursor: str | None = None, among: Sequence[str] | None = None
    ) -> Page[GalleryRecord]:
        """Galleries in the order of their names, ``limit`` at a time.

        A page goes on after the last name of the one before: galleries made or deleted meanwhile never
        make another one appear twice or not at all.

        Args:
            limit: most galleries in the page.
            cursor: of the page before.
            among: names of those that are listed; None: all.

        Raises:
            BadRequest: the cursor is none that a page gave.
        """
        cursors = self._parts.catalog.cursors.of("galleries")
        after = cursors.name_before(cursor)
        fingerprint = self._parts.embedder.fingerprint
        records = await self._parts.read(
            lambda: self._parts.catalog.galleries.page(fingerprint, limit + 1, after, among)
        )
        return page_of(records, limit, lambda record: record.name, cursors)

    def _create(
        self, name: str, keep_pictures: bool, rule: Rule, retention_days: int | None, index: IndexKind
    ) -> GalleryRecord:
        with self._parts.step(lambda key: Doubt(key.number)) as committed:
            key, made = self._parts.catalog.galleries.create(name, keep_pictures, rule, retention_days, index)
            committed(key)
            if index != "auto":
                self._parts.index.keep(key.number, index)
        return made

    def _get(self, name: str) -> GalleryRecord:
        return self._parts.catalog.galleries.get(name, self._parts.embedder.fingerprint)

    def _change(self, name: str, changes: Mapping[str, bool | float | str | None]) -> GalleryRecord:
        with self._parts.step(lambda key: Doubt(key.number)) as committed:
            key = self._parts.catalog.galleries.change(name, changes)
            committed(key)
            add_again = "index" in changes and self._parts.index.keep(key.number, key.index)
        if add_again:
            fingerprint = self._parts.embedder.fingerprint
            numbers = self._parts.catalog.features.comparable(key.number, fingerprint).numbers.tolist()
            self._index_again(key.number, numbers)
        return self._get(name)

    def _index_again(self, gallery: int, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), AT_ONCE):
            if self._parts.closing:
                return  # the kind is stored, and a start builds by it
            try:
                with self._parts.step(lambda _: Doubt(gallery)):  # erasures between are not undone
                    index_again(self._parts, gallery, numbers[start : start + AT_ONCE])
            except Exception as error:  # the change is stored, and who searches must not miss the rest
                self._parts.owe(Doubt(gallery, numbers[start:]))
                raise NotFollowed from error

    def _find_previous(self) -> None:
        catalog, previous = self._parts.catalog, self._parts.previous
        catalog.previous.restore(self._parts.embedder.fingerprint)
        if previous is None:
            catalog.previous.keep_only(())
            return
        fingerprint = previous.embedder.fingerprint
        previous.galleries.update(catalog.previous.answerable(fingerprint, self._parts.embedder.fingerprint))
        catalog.previous.keep_only(previous.galleries)
        for stored in catalog.previous.batches(previous.galleries, fingerprint):
            entries = Entries(stored.ids, stored.people, stored.occlusions, stored.features)
            previous.index.add(stored.gallery, entries)
            previous.index.catch_up(stored.gallery)  # what waits to be clustered takes twice the memory
        _log.info("the previous model answers for %d galleries", len(previous.galleries))

    def _rebuild(self) -> None:
        began = time.perf_counter()
        self._parts.catalog.claim()
        self._parts.forgetting.look()
        _ = self._parts.catalog.cursors  # made here, not while a list is asked for, on the event loop
        for gallery, kind in self._parts.catalog.galleries.kinds().items():
            self._parts.index.keep(gallery, kind)
        self._find_previous()
        count = 0
        if self._parts.snapshots is None:
            features = self._parts.catalog.features.batches(self._parts.embedder.fingerprint)
        else:
            features = self._parts.snapshots.load()
        for stored in features:
            self._parts.index.add(
                stored.gallery, Entries(stored.ids, stored.people, stored.occlusions, stored.features)
            )
            self._parts.index.catch_up(stored.gallery)
            count += len(stored.ids)
        previous = self._parts.previous
        self._pending.warn(() if previous is None else previous.galleries)
        orphans = self._parts.sweep_pictures()
        _log.info(
            "index of %d pictures built in %.1f s, %d orphaned files removed",
            count,
            time.perf_counter() - began,
            orphans,
        )
